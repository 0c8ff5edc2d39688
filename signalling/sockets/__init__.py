"""Sockets of this node: upgrade, handshake, frames in and out, devices and the hub."""
