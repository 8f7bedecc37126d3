#!/usr/bin/env python3
"""Ten minutes of bad days, with an account of every request at the end.

A sandbox, a server over it, guests who read, renew and edit, a partner who books checks; all the while ProBonus fails at random in every
way the sandbox knows, and twice the server is killed without warning. At the end everything heals, and it must turn out that every request
was answered as it may be, in time; that no guest was signed out; that the guest for whom nothing was written was shown every view again that
they had seen before, however stale; and that every check was booked once.

    tests/soak.py            # SECONDS=600 WORKERS=8 WRITES=0.005
"""

import collections
import http.client
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("BINARY") or subprocess.check_output([ROOT / "tests/binary.sh", "--release"], text=True).strip()
SECONDS = float(os.environ.get("SECONDS", "600"))
WORKERS = int(os.environ.get("WORKERS", "8"))
# The share of edits, and the same of bookings.
WRITES = float(os.environ.get("WRITES", "0.005"))
# No answer may take longer: the server's own limit and what a busy machine adds.
LONGEST = 11.0
GUESTS = [f"+7916000000{number}" for number in (1, 3, 5, 6, 7)]
# Nothing is written for this one.
READER = GUESTS[-1]
VIEWS = ["profile", "balance", "transactions", "coupons", "home"]
FAULTS = ["latency", "status", "garbage", "html", "truncated", "wrong_type", "hang", "drip", "oversized", "reset_before", "reset_after",
          "error_after", "hang_after"]
OPERATIONS = ["*", "find_by_phone", "get_balance_extended", "transactions", "get_by_id", "update", "register_check"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port, method, path, body=None, headers=None, timeout=20.0):
    """One exchange; gives status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class House:
    """The sandbox, and the server that is killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.sandbox_port, self.port, self.admin = free_port(), free_port(), free_port()
        self.sandbox = self.run("sandbox", "--listen", f"127.0.0.1:{self.sandbox_port}")
        made = subprocess.run([BINARY, "hash-key", "--generate"], capture_output=True, text=True, check=True).stdout
        words = [word.strip('",') for word in made.replace("=", " ").split()]
        self.key_hash = next(word for word in words if len(word) == 64 and all(c in "0123456789abcdef" for c in word))
        self.key = max((word for word in words if word != self.key_hash), key=len)
        phones = "".join(f'[[auth.test_phones]]\nphone = "{phone}"\ncode = "246810"\nvalid_until = "2099-01-01T00:00:00Z"\n' for phone in GUESTS)
        (folder / "cabinet.toml").write_text(
            f'listen = "127.0.0.1:{self.port}"\nadmin_listen = "127.0.0.1:{self.admin}"\nsecret = "a master secret for the soak of enough bytes"\n'
            f'[store]\nurl = "sqlite://{folder}/state.db"\n'
            f'[probonus]\nurl = "http://127.0.0.1:{self.sandbox_port}"\ntoken = "{self.token()}"\n'
            '[delivery]\ngateways = ["webhook"]\n[delivery.webhook]\nurl = "http://127.0.0.1:9/"\n'
            'secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="\n'
            f'[partners.soak]\nkey_sha256 = "{self.key_hash}"\nscopes = ["checks"]\ncalls_per_minute = 0\n{phones}'
        )
        self.start()

    def run(self, *arguments):
        log = open(self.folder / f"{arguments[0]}.log", "ab")
        return subprocess.Popen([BINARY, *arguments], stdout=log, stderr=log)

    def token(self):
        """The sandbox says its token in its first lines."""
        for _ in range(200):
            for word in (self.folder / "sandbox.log").read_text().split():
                if word.startswith("sandbox-"):
                    return word
            time.sleep(0.05)
        sys.exit("the sandbox does not say its token")

    def start(self):
        self.server = self.run("serve", "--config", str(self.folder / "cabinet.toml"))
        for _ in range(400):
            try:
                if call(self.admin, "GET", "/health/ready", timeout=2)[0] == 200:
                    return
            except OSError:
                if self.server.poll() is not None:
                    sys.exit((self.folder / "serve.log").read_text())
            time.sleep(0.025)
        sys.exit("the server does not become ready")

    def order(self, method, path, body=None):
        status, _, text = call(self.sandbox_port, method, f"/sandbox{path}", body)
        assert status == 200, text
        return json.loads(text)

    def heal(self):
        self.order("DELETE", "/faults")
        self.order("PUT", "/credential", {"revoked": False})

    def end(self):
        for process in (self.server, self.sandbox):
            process.terminate()
            process.wait()


class Account:
    """What became of every request."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = collections.Counter()
        self.ends = collections.Counter()
        self.slowest = collections.defaultdict(float)
        self.wrong = []

    def begin(self, kind):
        with self.lock:
            self.sent[kind] += 1

    def end(self, kind, what, took):
        with self.lock:
            self.ends[kind, what] += 1
            self.slowest[kind] = max(self.slowest[kind], took)

    def complain(self, what):
        with self.lock:
            self.wrong.append(what)


class Soak:
    def __init__(self, house):
        self.house, self.account = house, Account()
        self.until = time.monotonic() + SECONDS
        self.down = threading.Event()
        self.kills = []
        self.tokens, self.seen, self.orders = {}, set(), {}

    def sign_in(self, phone):
        status, _, text = call(self.house.port, "POST", "/api/v1/auth/challenges", {"phone": phone})
        assert status == 202, text
        path = f"/api/v1/auth/challenges/{json.loads(text)['challenge_id']}/verify"
        status, _, text = call(self.house.port, "POST", path, {"code": "246810", "session": "bearer"})
        assert status == 200, text
        self.tokens[phone] = json.loads(text)

    def refresh(self, phone):
        """A pair that is renewed while the server dies may be lost on the way: then the same again."""
        pair = self.tokens[phone]
        for _ in range(100):
            try:
                status, _, text = call(self.house.port, "POST", "/api/v1/auth/refresh", {"refresh_token": pair["refresh_token"]})
            except OSError:
                time.sleep(0.2)
                continue
            if status == 200:
                self.tokens[phone] = json.loads(text)
                return
            if status in (409, 503):
                time.sleep(0.3)
                continue
            self.account.complain(f"refresh: {status} {text[:200]}")
            return
        self.account.complain("refresh: never answered")

    def exchange(self, kind, method, path, body=None, headers=None):
        """One accounted request; gives status, headers and body, or nothing when the server was being killed."""
        self.account.begin(kind)
        began = time.monotonic()
        try:
            status, head, text = call(self.house.port, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            took = time.monotonic() - began
            self.account.end(kind, "cut by a kill", took)
            near = any(began - 3 < kill < time.monotonic() + 0.5 for kill in self.kills)
            if not near and not self.down.is_set():
                self.account.complain(f"{kind} {path}: {type(error).__name__} without a kill")
            return None
        took = time.monotonic() - began
        if took > LONGEST:
            self.account.complain(f"{kind} {path}: took {took:.1f} s")
        stale = status == 200 and b'"stale":true' in text
        self.account.end(kind, f"{status} stale" if stale else str(status), took)
        return status, head, text

    def read(self, phone):
        view = random.choice(VIEWS)
        headers = {"Authorization": f"Bearer {self.tokens[phone]['access_token']}"}
        if random.random() < 0.2:
            headers["Cache-Control"] = "no-cache"
        answer = self.exchange(f"read {view}", "GET", f"/api/v1/me/{view}", headers=headers)
        if answer is None:
            return
        status, _, text = answer
        if status == 200:
            self.seen.add((phone, view))
        elif status == 401:
            self.account.complain(f"read {view}: a guest was signed out: {text[:200]}")
        elif status not in (502, 503):
            self.account.complain(f"read {view}: {status} {text[:200]}")
        elif phone == READER and (phone, view) in self.seen:
            self.account.complain(f"read {view}: the reader had seen it: {status} {text[:200]}")

    def edit(self, phone):
        name = f"Анна {random.randrange(10**6)}"
        headers = {"Authorization": f"Bearer {self.tokens[phone]['access_token']}", "Content-Type": "application/merge-patch+json"}
        answer = self.exchange("edit", "PATCH", "/api/v1/me/profile", {"first_name": name}, headers)
        if answer and answer[0] not in (200, 502, 503):
            self.account.complain(f"edit: {answer[0]} {answer[2][:200]}")

    def book(self, phone):
        guid = str(uuid.uuid4())
        body = {"check_guid": guid, "phone": phone, "restaurant_code": 1, "unit_code": 1, "external_number": guid[:8], "bonus_spent": 0,
                "discount": 0, "bonus_accrued": random.choice([100, 200, 300, 400, 500]), "money_spent": 1000}
        self.orders[guid] = (phone, body)
        self.send_order(guid)

    def send_order(self, guid):
        body = self.orders[guid][1]
        answer = self.exchange("book", "POST", "/partner/v1/checks", body, {"Authorization": f"Bearer {self.house.key}"})
        if answer and answer[0] not in (200, 201, 202, 409, 502, 503):
            self.account.complain(f"book: {answer[0]} {answer[2][:200]}")
        return answer

    def work(self, number):
        phone = GUESTS[number % len(GUESTS)]
        renewed = time.monotonic()
        while time.monotonic() < self.until:
            if self.down.is_set():
                time.sleep(0.1)
                continue
            # The first worker of a guest renews for the others, long before the access token ends.
            if number < len(GUESTS) and time.monotonic() - renewed > 100:
                self.refresh(phone)
                renewed = time.monotonic()
            dice = random.random()
            if phone == READER or dice < 1 - 2 * WRITES:
                self.read(phone)
            elif dice < 1 - WRITES:
                self.edit(phone)
            else:
                self.book(phone)
            time.sleep(random.expovariate(20))

    def chaos(self):
        kills = [self.until - SECONDS * share for share in (0.66, 0.33)]
        while time.monotonic() < self.until:
            if kills and time.monotonic() > kills[0]:
                kills.pop(0)
                self.down.set()
                self.kills.append(time.monotonic())
                self.house.server.kill()
                self.house.server.wait()
                self.house.start()
                self.kills.append(time.monotonic())
                self.down.clear()
            self.house.heal()
            if random.random() < 0.1:
                self.house.order("PUT", "/credential", {"revoked": True})
            for _ in range(random.randrange(3)):
                fault = {"kind": random.choice(FAULTS), "operation": random.choice(OPERATIONS), "percent": random.choice([10, 30, 100]),
                         "latency_ms": random.choice([0, 50, 800]), "status": random.choice([500, 502, 503, 429, 404, 400])}
                # What says that there is no such guest, or that the order is refused, is an answer and no fault.
                if fault["kind"] in ("status", "error_after") and fault["status"] in (404, 400):
                    fault["status"] = 500
                self.house.order("POST", "/faults", fault)
            time.sleep(random.uniform(0.5, 4))

    def run(self):
        for phone in GUESTS:
            self.sign_in(phone)
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(WORKERS)]
        threads.append(threading.Thread(target=self.chaos))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(5)
            print(f"\r{max(0, self.until - time.monotonic()):4.0f} s left, {sum(self.account.sent.values())} requests", end="", flush=True)
        print()
        self.house.heal()
        self.settle()
        self.check_bookings()
        self.check_views()

    def settle(self):
        """Everybody who does not know sends the same again, until all is known."""
        open_orders, until = set(self.orders), time.monotonic() + 180
        while open_orders and time.monotonic() < until:
            for guid in list(open_orders):
                answer = self.send_order(guid)
                if answer and answer[0] in (200, 201):
                    open_orders.discard(guid)
            time.sleep(1 if open_orders else 0)
        if open_orders:
            self.account.complain(f"{len(open_orders)} orders are not known to be booked")

    def check_bookings(self):
        booked = collections.Counter()
        for guest in self.house.order("GET", "/guests")["guests"]:
            if guest["account_id"] is not None:
                checks = self.house.order("GET", f"/accounts/{guest['account_id']}")["checks"]
                booked.update(check["guid"] for check in checks)
        for guid in self.orders:
            if booked[guid] != 1:
                self.account.complain(f"order {guid} was booked {booked[guid]} times")

    def check_views(self):
        time.sleep(65)
        for phone in GUESTS:
            self.refresh(phone)
            for view in VIEWS:
                headers = {"Authorization": f"Bearer {self.tokens[phone]['access_token']}", "Cache-Control": "no-cache"}
                answer = self.exchange("at the end", "GET", f"/api/v1/me/{view}", headers=headers)
                if answer is None or answer[0] != 200 or b'"stale":false' not in answer[2]:
                    self.account.complain(f"at the end {view} is not fresh: {answer and answer[2][:200]}")

    def report(self):
        account = self.account
        print(f"{'what':22} {'sent':>7}  ends")
        for kind, sent in sorted(account.sent.items()):
            ends = {what: count for (of, what), count in sorted(account.ends.items()) if of == kind}
            if sum(ends.values()) != sent:
                account.complain(f"{kind}: {sent} sent, {sum(ends.values())} accounted for")
            listed = ", ".join(f"{what}: {count}" for what, count in ends.items())
            print(f"{kind:22} {sent:7}  {listed}; slowest {account.slowest[kind]:.1f} s")
        print(f"{len(self.orders)} checks ordered, each booked once; the server was killed {len(self.kills) // 2} times")
        for what in account.wrong[:40]:
            print("WRONG:", what)
        return 1 if account.wrong else 0


def main():
    with tempfile.TemporaryDirectory() as folder:
        house = House(pathlib.Path(folder))
        soak = Soak(house)
        try:
            soak.run()
        finally:
            house.heal()
            house.end()
        code = soak.report()
        if code:
            kept = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
            (kept / "serve.log").write_bytes((house.folder / "serve.log").read_bytes())
            print(f"the server's log: {kept}/serve.log")
        return code


if __name__ == "__main__":
    sys.exit(main())
