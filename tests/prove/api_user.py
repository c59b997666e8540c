"""Somebody who uses the API while it is killed: takes images away, brings them back, looks for similar ones."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

import httpx2 as httpx

ANSWER_LIMIT_S = 60.0  # a killed API and a killed database are back within seconds
PAUSE_S = 0.01
K = 10
NOT_FOUND, NOT_DERIVED_YET, AWAY = 404, 409, 503
UNANSWERED = "no answer"


class ApiUser:
    """A thread of requests at random; what was acknowledged is remembered here, outside the product."""

    def __init__(self, url: str, known: Sequence[int], choice: random.Random) -> None:
        self.deleted: set[int] = set()
        self.acknowledged = 0  # deletions, and images brought back
        self.answers: Counter[str] = Counter()
        self.troubles: list[str] = []
        self._choice = choice
        self._known = known  # grows
        self._client = httpx.Client(base_url=url, timeout=ANSWER_LIMIT_S)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._act, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Come to an end, once the request that is on its way was acknowledged."""
        self._stopping.set()
        self._thread.join()

    def restore_all(self) -> None:
        """Bring back what was taken away, after `stop`."""
        for image_id in sorted(self.deleted):
            self._restore(image_id)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _act(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            if not self._known:
                continue
            image_id = self._choice.choice(self._known)
            if image_id in self.deleted:
                self._restore(image_id)
            elif self._choice.random() < 0.5:
                self._delete(image_id)
            else:
                self._search(image_id)

    def _delete(self, image_id: int) -> None:
        if self._insist("DELETE", f"/v1/images/{image_id}"):
            self.deleted.add(image_id)

    def _restore(self, image_id: int) -> None:
        if self._insist("POST", f"/v1/images/{image_id}/restore"):
            self.deleted.discard(image_id)

    def _search(self, image_id: int) -> None:
        path = f"/v1/images/{image_id}/similar?k={K}"
        answer = self._ask("GET", path)
        if answer is None or answer.status_code in (NOT_DERIVED_YET, AWAY):
            return
        if not answer.is_success:
            self.troubles.append(f"GET {path}: {answer.status_code} {answer.text}")
            return
        found = [match["image_id"] for match in answer.json()["results"]]
        if len(set(found)) < len(found) or not self.deleted.isdisjoint(found):
            self.troubles.append(f"image {image_id} looks like {found}, while {sorted(self.deleted)} are deleted")

    def _insist(self, method: str, path: str) -> bool:
        """Repeat a request until it is acknowledged, and return whether it was.

        What was done by a try that nobody acknowledged is not found by the next.
        """
        was_tried, deadline = False, time.monotonic() + ANSWER_LIMIT_S
        while time.monotonic() < deadline:
            answer = self._ask(method, path)
            if answer is not None and (answer.is_success or (was_tried and answer.status_code == NOT_FOUND)):
                self.acknowledged += 1
                return True
            if answer is not None and answer.status_code != AWAY:
                self.troubles.append(f"{method} {path}: {answer.status_code} {answer.text}")
                return False
            was_tried = True
            time.sleep(PAUSE_S)
        self.troubles.append(f"{method} {path}: never acknowledged")
        return False

    def _ask(self, method: str, path: str) -> httpx.Response | None:
        try:
            answer = self._client.request(method, path)
        except httpx.TransportError:
            self.answers[UNANSWERED] += 1
            return None
        self.answers[str(answer.status_code)] += 1
        return answer
