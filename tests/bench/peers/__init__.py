"""Other servers that relay the messages of a call: PeerJS and Socket.IO by node, Kamailio."""
