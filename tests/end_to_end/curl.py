"""What the walk through the API needs of curl, for machines that have none.

    curl [-sS] [--fail-with-body] [-X METHOD] [-H LINE]... [--json BODY | -F FIELD=@FILE] URL

Anything else is refused, so that the walk cannot quietly mean something that real curl would not.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from pathlib import Path
from uuid import uuid4

HTTP_ERROR = 22  # What curl exits with.


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("url")
    parser.add_argument("-sS", action="store_true")
    parser.add_argument("--fail-with-body", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("--json")
    parser.add_argument("-F", dest="form")
    given = parser.parse_args(arguments)
    headers = dict(line.split(": ", 1) for line in given.headers)
    body: bytes | None = None
    if given.json is not None:
        body = given.json.encode()
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
    elif given.form is not None:
        field, _, path = given.form.partition("=@")
        boundary = uuid4().hex
        part = f'Content-Disposition: form-data; name="{field}"; filename="{Path(path).name}"'
        body = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (
            boundary.encode(),
            part.encode(),
            Path(path).read_bytes(),
            boundary.encode(),
        )
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    method = given.method or ("GET" if body is None else "POST")
    request = urllib.request.Request(given.url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            sys.stdout.buffer.write(answer.read())
    except urllib.error.HTTPError as refused:
        sys.stdout.buffer.write(refused.read())
        return HTTP_ERROR if given.fail_with_body else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
