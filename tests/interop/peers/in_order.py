"""The stock client of Engine.IO, of either version, so that its events can be compared."""

import concurrent.futures

import engineio

# A payload of more packets than 16 ends the session, unless this is set; stock servers have no such limit.
engineio.payload.Payload.max_decode_packets = 1000


class InOrder(engineio.Client):
    """Handles events one after another. Otherwise each has its own thread, and may overtake the one before."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.thread = concurrent.futures.ThreadPoolExecutor(1)

    def _trigger_event(self, *args, run_async=False, **how):
        if run_async:
            return self.thread.submit(super()._trigger_event, *args)
        return super()._trigger_event(*args, **how)
