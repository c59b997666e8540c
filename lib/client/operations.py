"""Operations: each is written once, as a function that builds a request, and becomes a method of both clients.

A group of operations (``client.images``) has a connection. Reached through it, an operation sends what it builds: a
blocking connection gives the answer, an asynchronous one something to await, and the types say which.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from .async_connection import AsyncConnection
from .connection import Connection
from .downloads import AsyncDownload, Download
from .listings import AsyncListing, Listing
from .models import JobAnswer
from .requests import PagedRequest, Request
from .running_jobs import AsyncRunningJob, RunningJob

P = ParamSpec("P")
T = TypeVar("T")
PageOf = TypeVar("PageOf")
Item = TypeVar("Item")
AnyConnection = TypeVar("AnyConnection", Connection, AsyncConnection)
Built = TypeVar("Built")


class Group(Generic[AnyConnection]):
    """Operations on one kind of thing, over a connection."""

    def __init__(self, connection: AnyConnection) -> None:
        self._connection: AnyConnection = connection


class Described(Generic[P, Built]):
    """A function that builds a request, and the ``operationId`` of what it asks for ("" if another has that)."""

    send_by = "send"

    def __init__(self, build: Callable[Concatenate[Any, P], Built], operation_id: str = "") -> None:
        self.build = build
        self.operation_id = operation_id
        self.__doc__ = build.__doc__

    def _bound(self, group: Any) -> Callable[..., Any]:
        send = getattr(group._connection, self.send_by)

        @functools.wraps(self.build)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return send(self.build(group, *args, **kwargs))

        own = inspect.signature(self.build)
        shown = own.replace(parameters=list(own.parameters.values())[1:], return_annotation=own.empty)
        method.__signature__ = shown  # type: ignore[attr-defined]  # what help() shows: without self
        return method


class Operation(Described[P, Request[T]]):
    """A request that is answered at once."""

    @overload
    def __get__(self, group: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, group: Group[Connection], owner: type[Any]) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: Group[AsyncConnection], owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, group: Any, owner: type[Any]) -> Any:
        return self if group is None else self._bound(group)


class FileOperation(Described[P, Request[bytes]]):
    """A request for a file."""

    send_by = "download"

    @overload
    def __get__(self, group: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, group: Group[Connection], owner: type[Any]) -> Callable[P, Download]: ...
    @overload
    def __get__(self, group: Group[AsyncConnection], owner: type[Any]) -> Callable[P, AsyncDownload]: ...
    def __get__(self, group: Any, owner: type[Any]) -> Any:
        return self if group is None else self._bound(group)


class ListOperation(Described[P, PagedRequest[PageOf, Item]]):
    """A request for a list that comes in pages."""

    send_by = "listing"

    @overload
    def __get__(self, group: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, group: Group[Connection], owner: type[Any]) -> Callable[P, Listing[PageOf, Item]]: ...
    @overload
    def __get__(self, group: Group[AsyncConnection], owner: type[Any]) -> Callable[P, AsyncListing[PageOf, Item]]: ...
    def __get__(self, group: Any, owner: type[Any]) -> Any:
        return self if group is None else self._bound(group)


class EventOperation(Described[P, Request[T]]):
    """A request that is answered by events until there are no more."""

    send_by = "events"

    @overload
    def __get__(self, group: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, group: Group[Connection], owner: type[Any]) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: Group[AsyncConnection], owner: type[Any]) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, group: Any, owner: type[Any]) -> Any:
        return self if group is None else self._bound(group)


class JobOperation(Described[P, Request[JobAnswer]]):
    """A request whose answer is a job on its way."""

    send_by = "running_job"

    @overload
    def __get__(self, group: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, group: Group[Connection], owner: type[Any]) -> Callable[P, RunningJob]: ...
    @overload
    def __get__(
        self, group: Group[AsyncConnection], owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, AsyncRunningJob]]: ...
    def __get__(self, group: Any, owner: type[Any]) -> Any:
        return self if group is None else self._bound(group)


def operation(operation_id: str = "") -> Callable[[Callable[Concatenate[Any, P], Request[T]]], Operation[P, T]]:
    """Make a method that answers out of a function that builds its request."""
    return lambda build: Operation(build, operation_id)


def file_operation(
    operation_id: str = "",
) -> Callable[[Callable[Concatenate[Any, P], Request[bytes]]], FileOperation[P]]:
    """Make a method that gives a download."""
    return lambda build: FileOperation(build, operation_id)


def list_operation(
    operation_id: str = "",
) -> Callable[[Callable[Concatenate[Any, P], PagedRequest[PageOf, Item]]], ListOperation[P, PageOf, Item]]:
    """Make a method that gives a list."""
    return lambda build: ListOperation(build, operation_id)


def event_operation(
    operation_id: str = "",
) -> Callable[[Callable[Concatenate[Any, P], Request[T]]], EventOperation[P, T]]:
    """Make a method that gives events."""
    return lambda build: EventOperation(build, operation_id)


def job_operation(
    operation_id: str = "",
) -> Callable[[Callable[Concatenate[Any, P], Request[JobAnswer]]], JobOperation[P]]:
    """Make a method that gives a job on its way."""
    return lambda build: JobOperation(build, operation_id)
