"""The Chinese pages are in step with the English ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import zh
from tests.examples import ROOT, Fence, fences

PAGES = [pytest.param(page, id=page.name) for page in zh.ENGLISH]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_what_its_english_twin_has(page: Path) -> None:
    english = zh.ENGLISH[page].read_text("utf-8")
    assert zh.differences(page, page.read_text("utf-8"), english) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_english_section_has_changed_since_it_was_translated(page: Path) -> None:
    """What to do is to read the English section, mend the Chinese one, and then `make zh`."""
    read = json.loads(zh.RECORD.read_text("utf-8")).get(page.name, {})
    now = zh.state(zh.ENGLISH[page].read_text("utf-8"))
    changed = [title for title in {**now, **read} if read.get(title) != now.get(title)]
    assert not changed, (
        f"{zh.ENGLISH[page].name}: {', '.join(changed)} changed, or came, or went, since the translation: read it there, "
        f"mend docs/zh/{page.name}, then `make zh`"
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_tables_are_those_of_the_english_page(page: Path) -> None:
    assert zh.insert(page) == page.read_text("utf-8"), "make tables"


def test_every_phrase_is_one_of_a_generated_table() -> None:
    english = "".join(
        found["block"] for page in zh.ENGLISH.values() for found in zh.GENERATED.finditer(page.read_text("utf-8"))
    )
    assert [phrase for phrase in zh.PHRASES if phrase not in english] == []


def test_generated_cells_with_words_are_said_in_chinese() -> None:
    blocks = [found["block"] for page in zh.ENGLISH for found in zh.GENERATED.finditer(page.read_text("utf-8"))]
    written = {cell for block in blocks for line in block.splitlines() if line[:1] in "|#" for cell in zh.cells(line)}
    assert written & set(zh.PHRASES.values())
    english = {cell for cell in written if re.search(r"[a-z]{2,} [a-z]{2,}", re.sub("`[^`]*`", "", cell))}
    assert english == set(), "say these in PHRASES of tests/zh.py"


def test_a_paragraph_is_one_line() -> None:
    """A line break within it would be shown as a space, between two characters that have none."""
    for page in zh.ENGLISH:
        for section in zh.sections(page.read_text("utf-8")):
            assert re.findall(r"^(?![|#<\-]).+\n(?![|#<\-])(?=.)", section.prose, re.M) == [], page.name


PAGE = ROOT / "docs" / "zh" / "agents.md"
TEXT = r"""# Title

A `word` and [a link](caching.md), [another](errors.md#what-to-do-about-each-error-text), [a third](media.md).

| a | `b` |
|---|---|
| c | `d \| e` |

## Code

<!-- needs deepagents -->
```python
# ## said
city = "Hangzhou"
print(f"{city}: {1:.0%} of it")
```

```bash
make demo  # runs
```
"""
CHINESE = r"""# 标题

一个 `word`、[另一个](errors.md#每种报错怎么处理)、[链接](caching.md)、[第三个](../media.md)。

| 甲 | `b` |
|---|---|
| 丙 | `d \| e` |

## 代码

<!-- needs deepagents -->
```python
# ## 说
city = "杭州"
print(f"其中的 {1:.0%}：{city}")
```

```bash
make demo  # 运行
```
"""


def test_words_alone_may_differ() -> None:
    assert zh.differences(PAGE, CHINESE, TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## 代码", "### 代码", ["other headings than Title · Code"]),
        ("## 代码\n", "", ["other headings than Title · Code"]),
        ("`word`", "word", ["标题 (Title): `word` is not there"]),
        (
            "../media.md",
            "media.md",
            ["标题 (Title): no link to docs/media.md", "标题 (Title): a link to docs/zh/media.md"],
        ),
        (
            "(caching.md)",
            "(../caching.md)",
            ["标题 (Title): no link to docs/zh/caching.md", "标题 (Title): a link to docs/caching.md"],
        ),
        (
            "#每种报错怎么处理",
            "#拒答",
            [
                "标题 (Title): no link to docs/zh/errors.md#每种报错怎么处理",
                "标题 (Title): a link to docs/zh/errors.md#拒答",
            ],
        ),
        (
            "| 丙 | `d \\| e` |\n",
            "",
            ["标题 (Title): other tables, rows or columns", "标题 (Title): `d \\| e` is not there"],
        ),
        ("| 丙 | `d \\| e` |", "| 丙 `d \\| e` |", ["标题 (Title): other tables, rows or columns"]),
        ("| 丙 | `d \\| e` |", "| `d \\| e` | 丙 |", ["标题 (Title): other code in the row of c"]),
        ("<!-- needs deepagents -->\n", "", ["代码 (Code): fence 1 is marked otherwise"]),
        ("```bash", "```yaml", ["代码 (Code): fence 2 is marked otherwise"]),
        ("make demo ", "make test ", ["代码 (Code): fence 2 has other code"]),
        ("\n```bash\nmake demo  # 运行\n```\n", "", ["代码 (Code): 1 fences and not 2"]),
        ("杭州", "Suzhou", ["代码 (Code): fence 1 has other code"]),
        ('city = "杭州"', 'town = "杭州"', ["代码 (Code): fence 1 has other code"]),
        ("{1:.0%}", "{1:.1%}", ["代码 (Code): fence 1 has other code"]),
        ('"杭州"', "5", ["代码 (Code): fence 1 has other code"]),
    ],
)
def test_everything_else_is_told(old: str, new: str, said: list[str]) -> None:
    assert old in CHINESE
    assert zh.differences(PAGE, CHINESE.replace(old, new), TEXT) == said


def test_a_text_with_chinese_stands_for_a_text_alone() -> None:
    other, own = fences("```python\nsay(2)\n```\n```python\nsay('你')\n```\n")
    assert not zh.same_code(own, other)
    assert zh.same_code(own, Fence("python", "say('you')", compiled_only=False))


def test_the_state_of_a_section_is_its_words() -> None:
    before = zh.state(TEXT)
    assert list(before) == ["Title", "Code"]
    assert zh.state(TEXT.replace(" and ", "\nand ")) == before
    generated = TEXT.replace("| a |", "<!-- models: make tables -->\n| a |").replace(
        "## Code", "<!-- end of models -->\n\n## Code"
    )
    assert zh.state(generated) == zh.state(generated.replace("| c |", "| f |"))
    changed = zh.state(TEXT.replace("# ## said", "# ## heard"))
    assert (changed["Title"] == before["Title"], changed["Code"] == before["Code"]) == (True, False)
