"""The bundled client: one WebSocket (`wire`), one WebRTC peer (`peer`), one phone (`phone`).

Read `phone.py` first to write an app of your own. Only `peer.py` and `audio.py` import aiortc.
"""
