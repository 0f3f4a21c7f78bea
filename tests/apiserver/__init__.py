"""What a real API server says of our kinds.

binaries        etcd, Kubernetes' control plane and kubectl, built once and cached
control_plane   all of them running on loopback, and a client
corpus          mutations of a complete manifest
"""
