"""What the routes work with: the library, opened in the background, and the models behind it.

The server answers from its first moment. A thread opens the database, loads the models, and afterwards looks every few
seconds whether another model has become active, weights have arrived, keys were made or taken back, or the database
went away; so everything that can heal does so without a restart.
"""

import contextlib
import threading
from typing import Self

import structlog
from sqlalchemy.orm import Session

from lib.arrays import Mask
from lib.errors import Busy, DatabaseUnavailable, ModelsLoading, VitrineError
from lib.images import collage
from lib.images.background import decode_mask_png
from lib.images.decoding import DecodeLimits, Decoder
from lib.models.registry import Role
from lib.search import by_color
from lib.search.color_table import ColorSnapshot, ColorTable
from lib.settings import Settings
from lib.storage import models
from lib.storage.database import Database
from lib.storage.library import Library, open_library
from lib.storage.objects import ObjectStore
from query_api.dagster_gateway import DagsterGateway
from query_api.key_ring import KeyRing
from query_api.pixel_budget import PixelBudget
from query_api.serving_models import SERVING_ROLES, ServingModels

log = structlog.get_logger()
THREADS = 40  # that Starlette gives to routes: a thread that has its turn finds a connection, too
LOOK_EVERY_S = 5.0
REOPEN_AFTER_S = 1.0
STATEMENT_TIMEOUT_S = 60.0  # nobody waits for an answer any more
STOP_TIMEOUT_S = 10.0
COLORS_PATIENCE_S = 10.0


class Service:
    """A running query API's library, models, decoder and way to Dagster. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.objects = ObjectStore(settings.home_path)
        self.decoder = Decoder(DecodeLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels))
        self.models = ServingModels(settings.home_path, settings.device, settings.precision)
        # The largest merge that is allowed, or many small ones, at a time.
        self.merge_pixels = PixelBudget(3 * settings.max_image_pixels)
        self.dagster = DagsterGateway(settings.dagster_endpoint, settings.dagster_page)
        self.keys = KeyRing()
        self._color_table = ColorTable()
        self._color_search_is_ready = threading.Event()
        self._library: Library | None = None
        self._trouble: VitrineError = DatabaseUnavailable("the database is being started")
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep_open, name="library-keeper", daemon=True)

    @property
    def database(self) -> Database:
        """The library's database. Raises what keeps it from being open, as a rule DatabaseUnavailable."""
        library = self._library
        if library is None:
            raise self.trouble
        return library.database

    @property
    def trouble(self) -> VitrineError:
        """What kept the library from being open, when it last was not."""
        # A fresh error each time: a raised one collects the traceback of every request.
        return type(self._trouble)(str(self._trouble))

    def colors(self, session: Session, *, layouts: bool = False) -> ColorSnapshot:
        """Return the library's colours as they are now. Raises ModelsLoading where colour search is still starting."""
        if not self._color_search_is_ready.wait(COLORS_PATIENCE_S):
            raise ModelsLoading("colour search is being prepared")
        return self._color_table.snapshot(session, layouts=layouts)

    def require_colors(self) -> None:
        """Raise ModelsLoading until colour search is ready."""
        if not self._color_search_is_ready.is_set():
            raise ModelsLoading("colour search is being prepared")

    def read_mask(self, sha256: str) -> Mask:
        """Return a stored mask. Raises ObjectMissing."""
        return decode_mask_png(self.objects.read(sha256))

    def __enter__(self) -> Self:
        """Start opening the library, and return at once."""
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the library and end the decoder."""
        self._stopping.set()
        self._keeper.join(STOP_TIMEOUT_S)
        self.decoder.close()

    def _keep_open(self) -> None:
        while not self._stopping.is_set():
            try:
                with open_library(
                    self.settings, connections=THREADS, statement_timeout_s=STATEMENT_TIMEOUT_S
                ) as library:
                    self._read_keys(library.database)
                    self._library = library
                    threading.Thread(target=self._prepare_colors, args=(library.database,), daemon=True).start()
                    self._keep_models(library.database)
            except VitrineError as error:
                self._trouble = error
                log.warning("library_not_open", error=str(error))
            finally:
                self._library = None
            self._stopping.wait(REOPEN_AFTER_S)

    def _prepare_colors(self, database: Database) -> None:
        """Compile what colour search and collages need and read the library's colours, before somebody waits for it."""
        by_color.warm_up()
        collage.warm_up()
        try:
            with database.session() as session:
                self._color_table.snapshot(session)
        except VitrineError as error:  # the first search reads them, or says the same
            log.warning("colors_not_read", error=str(error))
        self._color_search_is_ready.set()

    def _read_keys(self, database: Database) -> None:
        with database.session() as session:
            self.keys.refresh(session)

    def _keep_models(self, database: Database) -> None:
        """Keep the active models loaded until the end. Raises DatabaseUnavailable when the database goes away."""
        while not self._stopping.is_set():
            with contextlib.suppress(Busy):  # a crowd has every connection: what is known stays true until it is over
                self._read_keys(database)
                self.models.refresh(_active_specs(database))
            self._stopping.wait(LOOK_EVERY_S)


def _active_specs(database: Database) -> dict[Role, str]:
    with database.session() as session:
        active = [models.active_model(session, role) for role in SERVING_ROLES]
    return {model.role: model.spec_id for model in active if model is not None}
