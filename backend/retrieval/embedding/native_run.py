"""Runs of the model in a thread that is none of Python's, for who waits for one question."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import onnxruntime
from numpy.typing import NDArray


class NativeRun:
    """One run at a time, which begins at once.

    A thread of Python would begin when the event loop rests, and then the database may have the processor that was free: on two
    cores both waited in turn for the same one, for two of the four milliseconds that a question takes.
    """

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """The session must have a thread of its own beside the caller's."""
        self._session = session
        self.is_free = True

    async def embedding(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns what the model makes of one text."""
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        def tell(outputs: Sequence[NDArray[np.float32]], error: str) -> None:
            if made.cancelled():
                return
            if error:
                made.set_exception(RuntimeError(error))
            else:
                made.set_result(outputs[0][0])

        def done(outputs: Sequence[NDArray[np.float32]], _given: object, error: str) -> None:
            self.is_free = True
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(tell, outputs, error)

        self.is_free = False
        self._session.run_async(["embedding"], {"ids": ids}, done, None)
        vector: NDArray[np.float32] = await made
        return vector
