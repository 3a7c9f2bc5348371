/** The virt helper, a program in Python; `virt_helper.ts` tells what it does. */
export const VIRT_HELPER: string = String.raw`
#!/usr/bin/env python3
"""Hands out the domains of a libvirt host, one holder each, and prepares them.

usage: atex-virt-helper [--log LEVEL] [--locks DIRECTORY] [LIBVIRT_URI]

Reads requests and writes replies, one JSON object a line, until its input ends.
What it reserved is locked as long as it runs: the kernel frees the locks.
"""
import argparse
import contextlib
import errno
import fcntl
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import syslog
import tempfile
import termios
import time
import xml.etree.ElementTree as ElementTree

NAME = "atex-virt-helper"
VERSION = NAME + " v1"
LONGEST_LINE = 1 << 20
CHUNK = 1 << 16
# Length and place of the lock on an unfinished file: qemu-img locks others.
PART_LOCK = 1, 1 << 60


class Refused(Exception):
    """The command cannot be carried out; the text is the reply."""


class Gone(Exception):
    """Nobody reads the replies any more."""


def end(process):
    """Ends a process that is not wanted any more, and waits for that."""
    for number in signal.SIGTERM, signal.SIGKILL:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
            return


def watch(process, source, take):
    """Passes on what the process prints, to its end or that of the other side."""
    poller = select.poll()
    poller.register(1, 0)  # only whether anybody reads the replies
    poller.register(source, select.POLLIN)
    reads = True
    try:
        while True:
            ended = process.poll() is not None
            ready = dict(poller.poll(0 if ended else 200 if reads else 5))
            if 1 in ready:
                raise Gone
            if source in ready:
                data = read(source)
                take(data)
                if not data:
                    poller.unregister(source)
                    reads = False
            elif ended:
                return  # others may have its output open still
    finally:
        if process.poll() is None:
            end(process)


def read(descriptor):
    try:
        return os.read(descriptor, CHUNK)
    except OSError as error:
        if error.errno != errno.EIO:  # a terminal that nobody has open
            raise
        return b""


def spawn(argv, **options):
    environment = dict(os.environ, LC_ALL="C")  # texts are compared
    try:
        return subprocess.Popen(argv, env=environment, **options)
    except OSError as error:
        raise Refused("cannot run %s: %s" % (argv[0], error.strerror))
    except ValueError as error:
        raise Refused("cannot run %s: %s" % (argv[0], error))


def run(argv):
    """Exit code and output of a program."""
    process = spawn(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output = bytearray()
    with process.stdout:
        watch(process, process.stdout.fileno(), output.extend)
    return process.returncode, output.decode("utf-8", "replace")


def reason(text):
    lines = [line.strip() for line in text.split("\n")]
    return "; ".join(filter(None, lines)) or "no reason was given"


def log(level, text):
    syslog.syslog(level, ascii(text)[1:-1])


def file_name(name):
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Refused("not the name of a file: %s" % ascii(name))
    return name


def lock(descriptor, *place):
    """Whether the file, or the place in it, could be locked."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *place)
        return True
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise


def holder_of(descriptor):
    """Who keeps the file from being locked: a process id, None if nobody does."""
    layout = "hhqqi"
    request = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(
        layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, request)
    )
    return None if kind == fcntl.F_UNLCK else pid


def process_name(pid):
    try:
        with open("/proc/%d/comm" % pid, "rb") as comm:
            name = comm.read().decode("utf-8", "replace")
    except OSError:
        return "(pid %d disappeared)" % pid
    return name.rstrip("\n") or "(empty name)"


@contextlib.contextmanager
def part_file(target, mode):
    """A file beside the target that is to take its place.

    It is locked. Those that can be locked were left behind by a helper that was
    killed, and are removed.
    """
    directory, name = os.path.split(target)
    for entry in os.listdir(directory):
        if re.match(r"\.atex-\w+\.part$", entry):
            remove_unlocked(os.path.join(directory, entry))
    while True:
        path = os.path.join(directory, ".atex-%016x.part" % random.getrandbits(64))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        # Before it is locked somebody may take it for a left-over.
        if lock(descriptor, *PART_LOCK) and same_file(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(descriptor)


def same_file(path, descriptor):
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def remove_unlocked(path):
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if lock(descriptor, *PART_LOCK):
                os.unlink(path)
        finally:
            os.close(descriptor)


class Helper:
    def __init__(self, uri, locks):
        self.uri = uri
        self.locks = locks
        self.held = {}  # domain -> descriptor of its lock
        self.workspace = None
        self.unread = 0
        self.input = sys.stdin.buffer

    # ---- the stream -----------------------------------------------------------------

    def serve(self):
        while True:
            line = self.input.readline(LONGEST_LINE)
            if not line.endswith(b"\n"):
                if len(line) < LONGEST_LINE:
                    return  # the end of input, perhaps amid a line
                self.skip_line()
                self.send({"success": False, "reply": "the line is too long"})
            elif line.strip():
                reply = self.answer(line)
                for _ in self.rest():
                    pass  # the request was refused, but these bytes are no requests
                self.send(reply)

    def skip_line(self):
        while True:
            line = self.input.readline(CHUNK)
            if not line or line.endswith(b"\n"):
                return

    def send(self, reply):
        data = json.dumps(reply).encode() + b"\n"
        if len(data) > LONGEST_LINE:
            fault = "the reply has %d bytes, a line holds fewer" % len(data)
            reply = {"success": False, "cmd": reply.get("cmd"), "reply": fault}
            data = json.dumps(reply).encode() + b"\n"
        while data:
            try:
                data = data[os.write(1, data):]
            except BrokenPipeError:
                raise Gone

    def answer(self, line):
        try:
            request = json.loads(line.decode("utf-8"))
            self.unread = length_behind(request)
            command, arguments = check(request)
        except (ValueError, RecursionError) as error:
            return {"success": False, "reply": "not a request in JSON: %s" % error}
        except Refused as error:
            return {"success": False, "reply": str(error)}
        name = request["cmd"]
        log(syslog.LOG_DEBUG, "%s %r" % (name, arguments))
        try:
            fields = command(self, **arguments) or {}
            return dict(request, success=True, **fields)
        except (Refused, OSError, ValueError, OverflowError) as error:
            log(syslog.LOG_WARNING, "%s failed: %s" % (name, error))
            return dict(request, success=False, reply=str(error))

    def rest(self):
        """What follows the request and belongs to it."""
        while self.unread > 0:
            data = self.input.read1(min(self.unread, CHUNK))
            if not data:
                raise Gone
            self.unread -= len(data)
            yield data

    def close(self):
        for descriptor in self.held.values():
            os.close(descriptor)
        self.held.clear()
        if self.workspace is not None:
            os.chdir("/")
            shutil.rmtree(self.workspace, ignore_errors=True)

    def enter_workspace(self):
        """A directory that goes away with this process, and is its current one."""
        if self.workspace is None:
            self.workspace = tempfile.mkdtemp(prefix=NAME + "-")
            os.chdir(self.workspace)

    # ---- libvirt --------------------------------------------------------------------

    def run_virsh(self, *args):
        connect = ["-c", self.uri] if self.uri else []
        return run(["virsh", "-q"] + connect + list(args))

    def get(self, what, *args):
        """The output of a virsh command that has to succeed."""
        code, output = self.run_virsh(*args)
        if code != 0:
            raise Refused("%s: %s" % (what, reason(output)))
        return output

    def get_xml(self, what, *args):
        try:
            return ElementTree.fromstring(self.get(what, *args))
        except ElementTree.ParseError as error:
            raise Refused("%s: it is not XML: %s" % (what, error))

    def pool_directory(self, pool):
        what = "failed getting pool %s" % pool
        xml = self.get_xml(what, "pool-dumpxml", "--pool=" + pool)
        kind = xml.get("type")
        if kind != "dir":
            raise Refused("pool %s is of type %s, not dir" % (pool, kind))
        path = (xml.findtext("target/path") or "").strip()
        if not path:
            raise Refused("pool %s has no directory" % pool)
        return path

    def volume_path(self, pool, volume):
        what = "failed getting volume %s of pool %s" % (volume, pool)
        return self.get(what, "vol-path", "--pool=" + pool, "--vol=" + volume).strip()

    def refresh(self, pool):
        for attempt in range(10):
            code, output = self.run_virsh("pool-refresh", "--pool=" + pool)
            if code == 0:
                return
            if "asynchronous jobs running" not in output:
                break
            time.sleep(0.1)
        raise Refused("failed refreshing pool %s: %s" % (pool, reason(output)))

    def domains(self):
        code, output = self.run_virsh("list", "--all", "--persistent", "--name")
        if code != 0:
            raise Refused("virsh list failed: %s" % reason(output))
        names = [name for name in output.split("\n") if name not in ("", ".", "..")]
        if not names:
            raise Refused("no persistent domains found")
        return names

    def open_lock(self, domain):
        """Only for domains that are not held: closing any descriptor unlocks."""
        path = os.path.join(self.locks, file_name(domain))
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    # ---- commands -------------------------------------------------------------------

    def ping(self):
        return {"reply": VERSION + " pong"}

    def setname(self, name):
        if not name:
            raise Refused("the name is empty")
        if re.search(r"[\0-\x1f\x7f]", name):
            raise Refused("the name has control characters")
        short = name.encode("utf-8", "replace")[:15].decode("utf-8", "ignore")
        with open("/proc/self/comm", "wb", 0) as comm:
            comm.write(short.encode())

    def reserve(self, filter=None):
        names = self.domains()
        if filter is not None:
            try:
                names = [name for name in names if re.fullmatch(filter, name)]
            except (re.error, RecursionError, OverflowError) as error:
                raise Refused("the filter is no regular expression: %s" % error)
            if not names:
                raise Refused("no domain matches the filter")
        names = [name for name in names if name not in self.held]
        random.shuffle(names)
        os.makedirs(self.locks, mode=0o700, exist_ok=True)
        faults = []
        for name in names:
            try:
                if self.hold(name):
                    log(syslog.LOG_INFO, "reserved %s" % name)
                    return {"domain": name}
            except OSError as error:
                faults.append("no lock for domain %s: %s" % (name, error))
        if faults and len(faults) == len(names):
            raise Refused(faults[0])
        raise Refused("no domain could be reserved")

    def hold(self, domain):
        descriptor = self.open_lock(domain)
        try:
            if lock(descriptor):
                self.held[domain] = descriptor
        finally:
            if domain not in self.held:
                os.close(descriptor)
        return domain in self.held

    def release(self, domain):
        if domain not in self.held:
            raise Refused("domain not locked")
        os.close(self.held.pop(domain))
        log(syslog.LOG_INFO, "released %s" % domain)

    def reservations(self):
        return {"domains": {name: self.state_of(name) for name in self.domains()}}

    def state_of(self, domain):
        if domain in self.held:
            return "(reserved for us)"
        try:
            descriptor = self.open_lock(domain)
        except FileNotFoundError:  # no directory: nobody ever reserved
            return "(free)"
        try:
            pid = holder_of(descriptor)
        finally:
            os.close(descriptor)
        return "(free)" if pid is None else process_name(pid)

    def virsh(self, args):
        if not args:
            raise Refused("there is no virsh command among the arguments")
        code, output = self.run_virsh(*args)
        if code != 0:
            raise Refused(output)
        return {"reply": output}

    def copy_volume(self, pool, to=None, to_domain=None, move=False, **source):
        volume = source["from"]
        self.pool_directory(pool)
        source_path = self.volume_path(pool, volume)
        xml = None
        if to_domain is not None:
            what = "no domain %s" % to_domain
            xml = self.get_xml(what, "dumpxml", "--inactive", "--domain=" + to_domain)
            to = volume_in_pool(xml, pool)
            if to is None:
                raise Refused("domain %s has no volume in pool %s" % (to_domain, pool))
        directory = os.path.dirname(source_path)
        target = os.path.join(directory, file_name(to))
        if move:
            os.rename(source_path, target)
        else:
            copy(source_path, target)
        if xml is not None:
            remove_nvram(xml)
        self.refresh(pool)

    def create_volume(self, pool, name, size, format, remove_existing=False):
        if size < 0:
            raise Refused("the size is negative: %d" % size)
        if format not in ("raw", "qcow2"):
            raise Refused("the format is neither raw nor qcow2: %s" % format)
        directory = self.pool_directory(pool)
        target = os.path.join(directory, file_name(name))
        if os.path.lexists(target) and not remove_existing:
            raise Refused("volume %s exists already in pool %s" % (name, pool))
        with part_file(target, 0o644) as path:
            if format == "raw":
                os.truncate(path, size)
            else:
                make_qcow2(path, size)
            if remove_existing:
                os.rename(path, target)
            else:
                os.link(path, target)  # fails if somebody else was faster
        self.refresh(pool)

    def upload(self, name, length):
        self.enter_workspace()
        with open(file_name(name), "wb") as file:
            for data in self.rest():
                file.write(data)

    def virt_install(self, args, destroy_on_error=False):
        name = domain_argument(args)
        if destroy_on_error and name is None:
            raise Refused("no domain is named by -n or --name, to destroy on error")
        connect = ["--connect", self.uri] if self.uri else []
        self.enter_workspace()
        try:
            code = run_on_terminal(["virt-install"] + connect + args)
            if code != 0:
                raise Refused("virt-install ended with exit code %d" % code)
        except BaseException:
            if destroy_on_error:
                self.destroy(name)
            raise

    def destroy(self, name):
        # Not by way of run(): there may be nobody left to tell.
        connect = ["-c", self.uri] if self.uri else []
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.call(
                ["virsh", "-q"] + connect + ["destroy", "--domain=" + name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=60,
            )


def copy(source, target):
    mode = stat.S_IMODE(os.stat(source).st_mode)
    with part_file(target, mode) as path:
        code, output = run(["cp", "-f", "--reflink=auto", "--", source, path])
        if code != 0:
            raise Refused("cp failed: %s" % reason(output))
        os.rename(path, target)


def make_qcow2(path, size):
    options = ["-f", "qcow2", "-o", "preallocation=metadata"]
    code, output = run(["qemu-img", "create"] + options + [path, str(size)])
    if code != 0:
        raise Refused("qemu-img failed: %s" % reason(output))


def volume_in_pool(xml, pool):
    for disk in xml.iterfind("devices/disk[@type='volume']"):
        source = disk.find("source")
        if disk.get("device", "disk") == "disk" and source is not None:
            if source.get("pool") == pool and source.get("volume"):
                return source.get("volume")
    return None


def remove_nvram(xml):
    """What it says of boot entries is of no use for another disk."""
    nvram = xml.find("os/nvram")
    if nvram is None:
        return
    source = nvram.find("source")
    path = (nvram.text or "").strip() or (source is not None and source.get("file"))
    if path:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def domain_argument(args):
    """The name that virt-install is given."""
    name = None
    for index, argument in enumerate(args):
        following = args[index + 1] if index + 1 < len(args) else None
        if argument in ("-n", "--name"):
            name = following
        elif argument.startswith("--name="):
            name = argument[len("--name="):]
        elif argument.startswith("-n") and not argument.startswith("--"):
            name = argument[2:]
    return name or None


def run_on_terminal(argv):
    """Runs a program that wants a terminal; its output goes to stderr."""
    master, slave = pty.openpty()
    try:
        try:
            process = spawn(
                argv,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        finally:
            os.close(slave)
        watch(process, master, show)
    finally:
        os.close(master)
    return process.returncode


def show(data):
    while data:
        try:
            data = data[os.write(2, data):]
        except BrokenPipeError:
            raise Gone


def is_text(value):
    return isinstance(value, str)


def is_texts(value):
    return isinstance(value, list) and all(map(is_text, value))


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_length(value):
    return is_number(value) and value >= 0


def is_bool(value):
    return isinstance(value, bool)


# What each command needs, and what it may have.
COMMANDS = {
    "ping": (Helper.ping, {}, {}),
    "setname": (Helper.setname, {"name": is_text}, {}),
    "reserve": (Helper.reserve, {}, {"filter": is_text}),
    "release": (Helper.release, {"domain": is_text}, {}),
    "reservations": (Helper.reservations, {}, {}),
    "virsh": (Helper.virsh, {"args": is_texts}, {}),
    "copy-volume": (
        Helper.copy_volume,
        {"pool": is_text, "from": is_text},
        {"to": is_text, "to_domain": is_text, "move": is_bool},
    ),
    "create-volume": (
        Helper.create_volume,
        {"pool": is_text, "name": is_text, "size": is_number, "format": is_text},
        {"remove_existing": is_bool},
    ),
    "upload": (Helper.upload, {"name": is_text, "length": is_length}, {}),
    "virt-install": (
        Helper.virt_install,
        {"args": is_texts},
        {"destroy_on_error": is_bool},
    ),
}


def length_behind(request):
    """How many bytes follow the line."""
    if isinstance(request, dict) and request.get("cmd") == "upload":
        length = request.get("length")
        return length if is_length(length) else 0
    return 0


def check(request):
    """The command and its arguments."""
    if not isinstance(request, dict):
        raise Refused("not a request: an object would be right")
    name = request.get("cmd")
    if not is_text(name):
        raise Refused("there is no cmd")
    if name not in COMMANDS:
        raise Refused("unknown cmd: %s" % name)
    command, needed, possible = COMMANDS[name]
    arguments = {key: value for key, value in request.items() if key != "cmd"}
    for key, fits in list(needed.items()) + list(possible.items()):
        if key in needed and key not in arguments:
            raise Refused("%s: missing argument: %s" % (name, key))
        if key in possible and arguments.get(key) is None:
            arguments.pop(key, None)
        elif not fits(arguments[key]):
            raise Refused("%s: wrong argument: %s" % (name, key))
    for key in arguments:
        if key not in needed and key not in possible:
            raise Refused("%s: superfluous argument: %s" % (name, key))
    if name == "copy-volume" and ("to" in arguments) == ("to_domain" in arguments):
        raise Refused("copy-volume: exactly one of to, to_domain would be right")
    return command, arguments


def main():
    levels = {
        "debug": syslog.LOG_DEBUG,
        "info": syslog.LOG_INFO,
        "warning": syslog.LOG_WARNING,
        "error": syslog.LOG_ERR,
    }
    home = os.path.expanduser("~/." + NAME)
    directory = "/var/lib/" + NAME if os.geteuid() == 0 else home
    parser = argparse.ArgumentParser(
        prog=NAME, description="Hands out the domains of a libvirt host."
    )
    parser.add_argument("--log", choices=sorted(levels), default="info")
    parser.add_argument("--locks", metavar="DIRECTORY", default=directory + "/locks")
    parser.add_argument("uri", metavar="LIBVIRT_URI", nargs="?")
    options = parser.parse_args()
    syslog.openlog(NAME, syslog.LOG_PID)
    syslog.setlogmask(syslog.LOG_UPTO(levels[options.log]))

    def stop(number, _frame):
        for other in signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
            signal.signal(other, signal.SIG_IGN)  # the first one counts
        sys.exit(128 + number)

    for number in signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
        signal.signal(number, stop)
    helper = Helper(options.uri, os.path.abspath(options.locks))
    try:
        helper.serve()
    except Gone:
        pass
    finally:
        helper.close()


if __name__ == "__main__":
    main()
`.trimStart();
