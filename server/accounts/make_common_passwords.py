"""Makes ``common_passwords.txt`` from the frequency list of the package zxcvbn, which need not be installed otherwise.

python -m venv /tmp/list && /tmp/list/bin/pip install zxcvbn==4.5.0
PYTHONPATH=. /tmp/list/bin/python server/accounts/make_common_passwords.py
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

#: The commonest passwords of the list; guesses beyond them are left to the limits of attempts.
KEPT = 10_000
TARGET = Path(__file__).with_name("common_passwords.txt")
HEADER = """\
# The commonest passwords of leaked lists, in lower case, one a line, sorted; made by make_common_passwords.py.
# From zxcvbn 4.5.0 (https://github.com/dwolfhub/zxcvbn-python), under this license:
#
# MIT License
#
# Copyright (c) 2016 Daniel Wolf
#
# Permission is hereby granted, free of charge, to any person obtaining a copy
# of this software and associated documentation files (the "Software"), to deal
# in the Software without restriction, including without limitation the rights
# to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
# copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all
# copies or substantial portions of the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
# IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
# FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
# AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
# LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
# OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
# SOFTWARE.
"""


def make(passwords: Iterable[str]) -> str:
    """The content of the file."""
    return HEADER + "".join(f"{one}\n" for one in sorted({password.casefold() for password in passwords}))


if __name__ == "__main__":
    TARGET.write_text(make(import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS["passwords"][:KEPT]))
