"""Starts a server and prints the milliseconds until it says that it is ready; then ends it."""

import http.client
import os
import subprocess
import sys
import time

host, port = os.environ["CABINET_ADMIN_LISTEN"].rsplit(":", 1)
began = time.monotonic()
server = subprocess.Popen([sys.argv[1], "serve"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    while time.monotonic() - began < 10:
        try:
            connection = http.client.HTTPConnection(host, int(port), timeout=1)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                print((time.monotonic() - began) * 1000)
                break
        except OSError:
            if server.poll() is not None:
                sys.exit("the server ended")
            time.sleep(0.001)
    else:
        sys.exit("not ready within ten seconds")
finally:
    server.terminate()
    server.wait()
