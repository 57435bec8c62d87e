"""Kafka's messages as dictionaries, by the definitions inside Kafka's own client jar.

An oracle that shares nothing with Klamm's codec: `Schema(jar)` reads `common/message/*.json`, and
`encode` and `decode` turn dictionaries into bytes and back, for every version.
"""

import json
import re
import struct
import uuid
import zipfile

FIXED = {
    "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q",
    "float64": ">d",
}
# What stands for no id.
ZERO = "00000000-0000-0000-0000-000000000000"


def within(versions, version):
    """Whether a range such as `3+`, `0-7`, `4` or `none` holds a version."""
    if versions in (None, "none"):
        return False
    low, _, high = versions.partition("-")
    if low.endswith("+"):
        return version >= int(low[:-1])
    return int(low) <= version <= int(high or low)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError(f"{n} bytes wanted at {self.at} of {len(self.data)}")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


def uvarint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Schema:
    def __init__(self, jar):
        self.requests, self.responses = {}, {}
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if re.match(r"common/message/.*(Request|Response)\.json$", name):
                    text = archive.read(name).decode()
                    message = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))
                    if "apiKey" in message:
                        kind = self.requests if message["type"] == "request" else self.responses
                        kind[message["name"].removesuffix("Request").removesuffix("Response")] = message
        self.keys = {name: m["apiKey"] for name, m in self.requests.items()}
        self.names = {key: name for name, key in self.keys.items()}

    def versions(self, name):
        low, _, high = self.requests[name]["validVersions"].partition("-")
        return range(int(low), int(high or low) + 1)

    def flexible(self, name, version):
        return within(self.requests[name].get("flexibleVersions"), version)

    def request(self, name, version, correlation, body):
        """A request with its length and header. `body`: a dictionary, or bytes as they are."""
        flexible = self.flexible(name, version)
        head = struct.pack(">hhi", self.keys[name], version, correlation) + b"\0\4diff"
        head += b"\0" if flexible else b""
        if isinstance(body, dict):
            body = self.encode(self.requests[name], version, body)
        return struct.pack(">i", len(head) + len(body)) + head + body

    def response(self, name, version, data):
        """The body of a response whose length and correlation id are already off."""
        reader = Reader(data)
        if self.flexible(name, version) and name != "ApiVersions":
            self._skip_tags(reader)
        message = self.responses[name]
        out = self._struct(message, message["fields"], version, reader)
        if reader.at != len(data):
            out["(bytes after the end)"] = len(data) - reader.at
        return out

    @staticmethod
    def _skip_tags(reader):
        for _ in range(reader.uvarint()):
            reader.uvarint()
            reader.take(reader.uvarint())

    # A message passes itself down as `top`: it says which versions are flexible, and holds the
    # structs that several fields share.

    def _fields(self, top, type_name, field):
        if "fields" in field:
            return field["fields"]
        return next(s["fields"] for s in top["commonStructs"] if s["name"] == type_name)

    def _struct(self, top, fields, version, reader):
        flexible = within(top.get("flexibleVersions"), version)
        out = {}
        tagged = {}
        for field in fields:
            if not within(field["versions"], version):
                continue
            if within(field.get("taggedVersions"), version):
                tagged[field["tag"]] = field
            else:
                out[field["name"]] = self._value(top, field, field["type"], version, reader)
        if flexible:
            for _ in range(reader.uvarint()):
                tag, size = reader.uvarint(), reader.uvarint()
                inner = Reader(reader.take(size))
                if tag in tagged:
                    field = tagged[tag]
                    out[field["name"]] = self._value(top, field, field["type"], version, inner)
                else:
                    out[f"(tag {tag})"] = inner.data.hex()
        return out

    def _length(self, flexible, reader, short):
        if flexible:
            return reader.uvarint() - 1
        return reader.number(">h" if short else ">i")

    def _value(self, top, field, kind, version, reader):
        flexible = within(field.get("flexibleVersions", top.get("flexibleVersions")), version)
        if kind in FIXED:
            return reader.number(FIXED[kind])
        if kind == "bool":
            return reader.take(1) != b"\0"
        if kind == "uuid":
            return str(uuid.UUID(bytes=reader.take(16)))
        if kind in ("string", "bytes", "records"):
            n = self._length(flexible, reader, kind == "string")
            if n < 0:
                return None
            data = reader.take(n)
            return data.decode() if kind == "string" else data
        if kind.startswith("[]"):
            n = self._length(flexible, reader, False)
            return None if n < 0 else [self._value(top, field, kind[2:], version, reader) for _ in range(n)]
        if within(field.get("nullableVersions"), version) and not field["type"].startswith("[]"):
            if reader.number(">b") < 0:
                return None
        return self._struct(top, self._fields(top, kind, field), version, reader)

    def encode(self, top, version, body, fields=None):
        flexible = within(top.get("flexibleVersions"), version)
        out, tags = b"", []
        for field in fields or top["fields"]:
            if not within(field["versions"], version):
                continue
            given = field["name"] in body
            if within(field.get("taggedVersions"), version):
                if given:
                    data = self._encode(top, field, field["type"], version, body[field["name"]])
                    tags.append((field["tag"], data))
                continue
            value = body[field["name"]] if given else self._default(field)
            out += self._encode(top, field, field["type"], version, value)
        if flexible:
            out += uvarint(len(tags))
            for tag, data in sorted(tags):
                out += uvarint(tag) + uvarint(len(data)) + data
        return out

    @staticmethod
    def _default(field):
        kind, value = field["type"], field.get("default")
        if value == "null":
            return None
        if kind in FIXED:
            return float(value or 0) if kind == "float64" else int(str(value or 0), 0)
        if kind == "bool":
            return str(value).lower() == "true"
        if kind == "uuid":
            return ZERO
        if kind == "string":
            return value or ""
        if kind in ("bytes", "records"):
            return b""
        return [] if kind.startswith("[]") else {}

    def _encode(self, top, field, kind, version, value):
        flexible = within(field.get("flexibleVersions", top.get("flexibleVersions")), version)
        if kind in FIXED:
            return struct.pack(FIXED[kind], value)
        if kind == "bool":
            return b"\1" if value else b"\0"
        if kind == "uuid":
            return uuid.UUID(value).bytes
        if kind in ("string", "bytes", "records") or kind.startswith("[]"):
            if kind == "string":
                data = value.encode() if value is not None else b""
                count = len(data)
            elif kind.startswith("[]"):
                data = b"".join(self._encode(top, field, kind[2:], version, v) for v in value or [])
                count = len(value or [])
            else:
                data = value or b""
                count = len(data)
            count = -1 if value is None else count
            if flexible:
                return uvarint(count + 1) + data
            return struct.pack(">h" if kind == "string" else ">i", count) + data
        if within(field.get("nullableVersions"), version) and not field["type"].startswith("[]"):
            if value is None:
                return b"\xff"
            return b"\1" + self.encode(top, version, value, self._fields(top, kind, field))
        return self.encode(top, version, value, self._fields(top, kind, field))
