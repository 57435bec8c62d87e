"""What tutorials in Markdown tell their readers to type."""

import re
import textwrap


def commands(text):
    """The code of a document: each command of its code blocks, put on one line; each block of Python
    as a whole; each span of code in its sentences. Without comments, in order."""
    out, prose, block, language = [], [], None, ""
    for line in text.splitlines():
        fence = re.match(r"\s*```\s*(\w*)\s*$", line)
        if fence and block is None:
            out += re.findall(r"`([^`]+)`", "\n".join(prose))
            block, prose, language = [], [], fence.group(1)
        elif fence:
            out += [python(block)] if language == "python" else joined(block)
            block = None
        elif block is None:
            prose.append(line)
        else:
            block.append(line)
    return [plain(c) for c in out + re.findall(r"`([^`]+)`", "\n".join(prose))]


def joined(lines):
    """Lines of shell as commands: one goes on after a backslash, or where the next begins with an
    option."""
    out, open_line = [], False
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        goes_on = line.endswith("\\")
        line = line.rstrip("\\")
        if out and (open_line or line.startswith("-")):
            out[-1] += " " + line
        else:
            out.append(line)
        open_line = goes_on
    return out


def python(lines):
    """A block of Python without its comments."""
    return textwrap.dedent("\n".join(line for line in lines if not line.lstrip().startswith("#")))


def plain(command):
    """White space counts only as a separator."""
    return " ".join(command.split())
