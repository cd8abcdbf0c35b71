"""Mistakes that a type checker finds: where it does not, `type: ignore` is the error."""

from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

ChatKimi(modle="kimi-k3")  # type: ignore[call-arg]
ChatKimi(dialect="vlm")  # type: ignore[arg-type]
Kimi(thinking="yes")  # type: ignore[arg-type]
Kimi("kimi-k3", reasoning_effort="hihg")  # type: ignore[arg-type]
