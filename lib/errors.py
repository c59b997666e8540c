"""Every error that Vitrine raises on purpose.

VitrineError
├── ConfigurationError          a setting or sources.yaml is wrong; the message says how to mend it
├── StorageError
│   ├── DatabaseUnavailable     no server answers, or it cannot be started
│   ├── DatabaseUnsuitable      a server answers but cannot serve (pgvector missing or too old)
│   ├── InsufficientSpace       the disk cannot hold what is about to be written
│   ├── ObjectMissing           a row names an object that is not in the store
│   └── LeaseLost               another run took this work over; its result is dropped
├── NotFound
│   ├── ImageNotFound           no live image by that id or path
│   ├── ModelNotFound           no such model in the registry or the library
│   └── SourceNotFound          no source of that name
├── Conflict
│   ├── AlreadyExists           a thing of that name is there already
│   └── KeyReused               an Idempotency-Key came back with another request
├── MeaninglessQuery            what a search asks for says nothing, such as a thing and its opposite
├── NotReady
│   ├── Busy                    the one place where this can be done is taken; ask again soon
│   ├── StatementTimeout        one statement took longer than it may
│   ├── ModelsLoading           weights are being read; ask again soon
│   ├── WeightsMissing          weights are not on this machine; the message names the command that gets them
│   │   └── WeightsRefused      a checkpoint holds more than tensors, or those of another network
│   └── NotComputedYet          the image is known, but the derived thing asked for is not there yet
├── FetchError                  a URL gave nothing usable; carries a short reason for the row
│   ├── FetchRefused            a rule of ours or the site's says no: final until something changes
│   └── FetchFailed             the network or the server failed: worth another try later
└── ImageError                  a picture cannot be used; carries a short reason for the row
    ├── UndecodableImage        not a picture, or broken
    ├── UnsupportedFormat       a picture of a format that is not on the allow-list
    ├── NothingVisible          a query that is transparent all over
    ├── TakenDown               the owner's list of takedowns names it
    ├── ImageTooLarge           more bytes, pixels or frames than the limits allow
    └── DecoderDied             the decoder process was killed by its limits (memory, time) or crashed
"""


class VitrineError(Exception):
    """The root of the tree; the message is written for the person who reads it."""


class ConfigurationError(VitrineError):
    """A setting or the sources file is wrong."""


class StorageError(VitrineError):
    """The database or the object store cannot do what was asked."""


class DatabaseUnavailable(StorageError):
    """No database server answers, or the embedded one cannot be started."""


class DatabaseUnsuitable(StorageError):
    """A database server answers but lacks what Vitrine needs."""


class TransactionConflict(StorageError):
    """The server ended a transaction in favour of another that waited for it; run again, it may well succeed."""


class InsufficientSpace(StorageError):
    """The disk has too little room left."""


class ObjectMissing(StorageError):
    """An object that a row names is not in the store."""


class LeaseLost(StorageError):
    """Another run owns this work now."""


class NotFound(VitrineError):
    """What was named does not exist."""


class ImageNotFound(NotFound):
    """No live image has that id or path."""


class ModelNotFound(NotFound):
    """No model has that name or spec."""


class SourceNotFound(NotFound):
    """No source has that name."""


class Conflict(VitrineError):
    """What was asked for does not fit what was asked for before, or what is there."""


class AlreadyExists(Conflict):
    """A thing of that name is there already."""


class KeyReused(Conflict):
    """An idempotency key came back with another request."""


class MeaninglessQuery(VitrineError):
    """A search whose terms leave nothing to search for."""


class NotReady(VitrineError):
    """The answer is not there yet; the same request can succeed later."""


class Busy(NotReady):
    """The one place where this can be done is taken."""


class StatementTimeout(NotReady):
    """The database was at one statement for longer than is allowed."""


class ModelsLoading(NotReady):
    """Model weights are still being read into memory."""


class WeightsMissing(NotReady):
    """Model weights are not on this machine."""


class WeightsRefused(WeightsMissing):
    """A weight file is here but is not loaded: it holds more than tensors, or the tensors of another network."""


class NotComputedYet(NotReady):
    """The image is known, but the derived thing asked for has not been made."""


class FetchError(VitrineError):
    """A URL gave nothing usable.

    ``reason`` is a short stable code for the row (``robots``, ``http_404``, ``too_large``, ...);
    the message adds the detail.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class FetchRefused(FetchError):
    """A rule, ours or the site's, forbids this URL."""


class FetchFailed(FetchError):
    """The network or the server failed; ``retry_after_s`` is the server's own wish, if it had one."""

    def __init__(self, reason: str, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, detail)
        self.retry_after_s = retry_after_s


class ImageError(VitrineError):
    """A picture cannot be used; ``reason`` is the short code kept in its row."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class UndecodableImage(ImageError):
    """The bytes are not a picture, or are a broken one."""


class UnsupportedFormat(ImageError):
    """The bytes are a picture of a format that is not on the allow-list."""


class NothingVisible(ImageError):
    """The picture is transparent all over, so there is nothing to search by."""


class TakenDown(ImageError):
    """The picture, its address or its host is on the library's list of takedowns."""


class ImageTooLarge(ImageError):
    """The picture has more bytes, pixels or frames than the limits allow."""


class DecoderDied(ImageError):
    """The decoder process crashed or was stopped by its limits while it read this picture."""
