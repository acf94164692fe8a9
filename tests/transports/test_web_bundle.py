"""A page's modules and stylesheets are joined into one file of each."""

import re
import shutil
import subprocess

import pytest

from transports.front_page import WEB
from transports.web_bundle import BundleError, join_modules

MODULES = {
    "call/main.js": """\
import { double, LIMIT as most } from './numbers.js';
import {
  Counter,
} from '../counter.js';
const counter = new Counter();
counter.add(double(most));
console.log(counter.total, await_());
function await_() { return [1, 2].map((number) => double(number)); }
""",
    "call/numbers.js": """\
/** import { nothing } from './nowhere.js'; is only said. */
import { Counter } from '../counter.js';
export const LIMIT = 4;
export function double(number) {
  const counter = new Counter();
  counter.add(number);
  counter.add(number);
  return counter.total;
}
export async function later() {}
""",
    "counter.js": """\
let made = 0;
export class Counter {
  total = 0;
  constructor() { made += 1; }
  add(number) { this.total += number; }
}
export const count = () => made;
""",
}


def test_each_module_runs_once_behind_those_it_imports() -> None:
    joined = join_modules("call/main.js", MODULES.__getitem__)
    parts = re.findall(r"^// (\S+)$", joined, re.MULTILINE)
    assert parts == ["counter.js", "call/numbers.js", "call/main.js"]
    assert "return { LIMIT, double, later };" in joined
    assert "const { double, LIMIT: most } = module_call_numbers_js;" in joined


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node: apt-get install nodejs")
@pytest.mark.thorough
def test_what_is_joined_does_what_the_modules_do() -> None:
    joined = join_modules("call/main.js", MODULES.__getitem__)
    command = ["node", "--input-type=module", "--eval", joined]
    assert subprocess.check_output(command, text=True) == "8 [ 2, 4 ]\n"


@pytest.mark.parametrize(
    "line",
    [
        "import './numbers.js';",
        "import * as all from './numbers.js';",
        "import { a } from 'package';",
        "export { a };",
        "export default 1;",
        "export const { a } = all;",
    ],
)
def test_what_cannot_be_joined_is_named(line: str) -> None:
    with pytest.raises(
        BundleError, match=re.escape(f"main.js: cannot be joined with others: {line}")
    ):
        join_modules("main.js", {"main.js": f"{line}\n"}.__getitem__)


def test_modules_that_need_each_other_are_named() -> None:
    modules = {"a.js": "import { b } from './b.js';\n", "b.js": "import { a } from './a.js';\n"}
    with pytest.raises(BundleError, match=r"a\.js imports itself, by a\.js and b\.js and a\.js"):
        join_modules("a.js", modules.__getitem__)


def test_what_modules_load_beside_the_page_lies_beside_the_bundle() -> None:
    """A joined module finds a worklet by its own address, which is then the bundle's."""
    for path in (WEB / "call").rglob("*.js"):
        source = path.read_text("utf-8")
        for name in re.findall(r"new URL\('([^']+)', import\.meta\.url\)", source):
            assert (path.parent / name).is_file(), path
