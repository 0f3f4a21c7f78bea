"""What a real API server says of our kinds.

binaries        etcd and kube-apiserver, built once and cached
control_plane   both of them running on loopback, and a client
corpus          mutations of a complete manifest
"""
