"""Our shortest whole paid call: request, ringing, accept, media on both legs, end; no signals."""

import time

from tests.bench.line import Line
from tests.bench.pairs import MEDIA, Pair


class BriefPair(Pair):
    """Each of its frames is a packet of its own, as each of a SIP call's messages is.

    Media is said to flow as soon as a side knows of the acceptance, which the server takes as it
    takes it of phones: the hold, the first unit, its journal and the settlement are all there.
    """

    def _to_caller(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"call_accepted"'):
            self.tally.note("accept", self._at_s)
            self._flows(self.caller)
        else:
            super()._to_caller(frame)

    def _to_callee(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"ok","re":"a'):
            self._flows(self.callee)
        else:
            super()._to_callee(frame)

    def _flows(self, line: Line) -> None:
        self._media_s = time.perf_counter()
        line.send(MEDIA % (self._number, self.call))
