"""Mistakes that a type checker finds: where it does not, `type: ignore` is the error."""

from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

ChatKimi(modle="kimi-k3")  # type: ignore[call-arg]
Kimi(thinking="yes")  # type: ignore[arg-type]
