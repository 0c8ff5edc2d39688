"""The bundled client: one WebSocket (`wire`), one WebRTC peer (`peer`), one phone (`phone`).

Read `phone.py` first to write an app of your own. Only `peer.py`, `link.py` and `audio.py` import
aiortc. `load/` is for many users at once, with small sockets that check all they are told.
"""
