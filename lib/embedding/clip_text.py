"""CLIP's two kinds of text tower, run on as many tokens as the texts have.

open_clip fills every text up to 77 tokens, and a query has about five. What stands behind the end of a text cannot
change its vector: a causal tower never looks ahead, a masked one is told what is filling. So it is left away, which
is exact up to float32 rounding.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class TextTower(Protocol):
    """From texts to vectors by way of tokens, (N, L) integers whose tail is filling."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        """Take open_clip's network and its tokenizer."""

    def tokens(self, texts: Sequence[str]) -> Any:
        """Return the tokens of texts, filled up to the context length."""

    def lengths(self, tokens: Any) -> NDArray[np.int64]:
        """Return the number of tokens of each row that count, (N,)."""

    def forward(self, tokens: Any) -> Any:
        """Return one vector a row, (N, D), whatever the number of columns, if it holds every token that counts."""


class CausalText:
    """The tower of the first CLIP: each token sees those before it, the end token's state is the text's vector."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer

    def tokens(self, texts: Sequence[str]) -> Any:
        """Return the BPE tokens, (N, 77)."""
        return self._tokenizer(list(texts))

    def lengths(self, tokens: Any) -> NDArray[np.int64]:
        """Return the number of tokens up to and with the end token, which is the largest of all, (N,)."""
        ends: NDArray[np.int64] = tokens.argmax(dim=-1).numpy() + 1
        return ends

    def forward(self, tokens: Any) -> Any:
        """Return open_clip's ``encode_text`` with positions and mask cut to the tokens' columns, (N, D)."""
        import torch

        network, length = self._network, tokens.shape[1]
        states = network.token_embedding(tokens) + network.positional_embedding[:length]
        states = network.transformer(states, attn_mask=network.attn_mask[:length, :length])
        ends = states[torch.arange(len(tokens), device=tokens.device), tokens.argmax(dim=-1)]
        return network.ln_final(ends) @ network.text_projection


class MaskedText:
    """A tower of transformers (XLM-RoBERTa): filling is masked, the mean of the other states is the text's vector."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._filling = network.text.config.pad_token_id

    def tokens(self, texts: Sequence[str]) -> Any:
        """Return the unigram tokens, (N, 77)."""
        return self._tokenizer(list(texts))

    def lengths(self, tokens: Any) -> NDArray[np.int64]:
        """Return the number of tokens that are not filling, (N,)."""
        counts: NDArray[np.int64] = (tokens != self._filling).sum(dim=-1).numpy()
        return counts

    def forward(self, tokens: Any) -> Any:
        """Return open_clip's ``encode_text``, which finds its mask by the filling that is left, (N, D)."""
        return self._network.encode_text(tokens)
