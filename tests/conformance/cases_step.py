"""cases_step.py - what the steps of an install may say (FORMAT.md 7.2)."""

from changes import HOSTILE_NAMES, Case
from made import CONF, MODULE, file_of, zstd_frame

TREE = zstd_frame(b"")
RUN = {"do": "command", "argv": ["%{stage}/nic/nic.ko"]}


def steps(*more, tree=False):
    """The good record with these steps behind its own; tree: with a tree in it."""

    def change(record):
        if tree:
            entry = file_of("src", MODULE, TREE, 0o755)
            record["files"].append({**entry, "encoding": "tar+zstd", "entries": 1})
        record["install"].extend(more)

    return {"record": change, "disk": lambda made: made.put(TREE) and None if tree else None}


def refused(name, step, tree=False):
    """A record with this step is damaged, wherever it is read."""
    return Case(f"step: {name}", steps(step, tree=tree), "damaged", 7)


def accepted(name, *more, tree=False):
    """One that says so is clean; a machine of folders cannot do what it says."""
    changes = steps(*more, tree=tree)
    if tree:  # its bytes are of no interest here, and no tar: as a slice leaves them out
        changes["disk"] = lambda made: made.blob(made.names["record"]).unlink()
    return Case(f"step: {name}", changes, agent="not asked")


def command(**fields):
    """A command step."""
    return {**RUN, **fields}


def settings(kind, key, value="1"):
    """A step of one setting."""
    return {"do": kind, "settings": {key: value}}


def command_words():
    """argv, undo and env: words that no shell reads."""
    for word in ("", "%{home}", "%{", "%{stage", "%{STAGE}", "a\nb", "a\tb", "é", "a" * 2049, 7):
        shown = str(word)[:12]
        yield refused(f"argv with {shown!r}", command(argv=[*RUN["argv"], word]))
        yield refused(f"undo with {shown!r}", command(undo=["/bin/true", word]))
        yield refused(f"env of {shown!r}", command(env={"A": word}))
    for program in (
        "nic.ko",
        "nic/nic.ko",
        "sh",
        "./x",
        "~/x",
        "/",
        "//bin/sh",
        "/bin/../x",
        "/bin/x y",
        "/bin/%{kernel}",
        "%{log}",
        "%{stage}",
        "%{stage}/",
        "%{stage}//x",
        "%{stage}/../x",
        "%{stage}/absent",
        "%{stage}/nic",
        "%{stage}/nic/nic.conf",
        "%{stage}/nic/nic.ko/x",
        "%{stage}/%{stage}",
        "-x",
    ):
        yield refused(f"argv[0] {program!r}", command(argv=[program]))
        yield refused(f"undo[0] {program!r}", command(undo=[program]))
    yield refused("undo[0] of the bundle", command(undo=RUN["argv"]))
    yield refused("undo with a file of the bundle", command(undo=["/bin/true", "%{stage}/x"]))
    for name in (
        *("", "a", "1A", "A-B", "A=B", "A B", "É", "A\n", "A" * 129),
        *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_", "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS"),
        *("PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS"),
        *("SHELLOPTS", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH", "HOME", "PS4"),
        *("OPENSSL_CONF", "SSL_CERT_FILE", "LC_ALL", "LANG", "LANGUAGE", "DEBIAN_FRONTEND"),
    ):
        yield refused(f"env {name[:16]!r} {len(name)}", command(env={name: "1"}))


def command_fields():
    """The rest of a command."""
    for name, fields in (
        ("without argv", {"argv": []}),
        ("with a line for a shell", {"argv": "%{stage}/nic/nic.ko --yes"}),
        ("of 65 words", {"argv": RUN["argv"] + ["a"] * 64}),
        ("with an undo of nothing", {"undo": []}),
        ("with env of nothing", {"env": {}}),
        ("with env as a list", {"env": ["A=1"]}),
        ("with 65 variables", {"env": {f"A{n}": "1" for n in range(65)}}),
        ("of no time", {"timeout_s": 0}),
        ("of a day and a second", {"timeout_s": 86401}),
        ("of time before", {"timeout_s": -1}),
        ("of time as text", {"timeout_s": "60"}),
        ("that is never ok", {"ok": []}),
        ("with code 256", {"ok": [256]}),
        ("with code -1", {"ok": [-1]}),
        ("with code true", {"ok": [True]}),
        ("with a code twice", {"ok": [3, 3]}),
        ("with no code for a reboot", {"reboot": []}),
        ("with code 0 for two things", {"reboot": [0]}),
        ("with code 3 for two things", {"ok": [0, 3], "reboot": [3]}),
        ("that removes nothing", {"removes": []}),
        ("that removes one twice", {"removes": ["a", "a"]}),
        ("that removes 65", {"removes": [f"p{n}" for n in range(65)]}),
        ("in a shell", {"shell": True}),
        ("with files", {"files": ["nic/nic.ko"]}),
    ):
        yield refused(f"command {name}", command(**fields))
    for name in HOSTILE_NAMES:
        yield refused(f"command that removes {name[:12]!r}", command(removes=[name]))
    yield accepted(
        "commands",
        command(
            argv=[*RUN["argv"], "--log=%{log}", "-v", "-v", "%%s%n", "$(id)", "a b", "a" * 2048],
            env={"KVER": "%{kernel}", "A": "1", "_X9": "%{stage}/x", "PATHS": "a", "A" * 128: "b"},
            timeout_s=86400,
            ok=[0, 255],
            reboot=[10],
            undo=["/usr/sbin/ofed_uninstall.sh", "--kernel=%{kernel}", "%{log}"],
            removes=["rdma-core", "libibverbs1", "g++", "MLNX_x"],
        ),
        command(ok=[1], reboot=[0]),
        command(argv=["%{stage}/nic/nic.ko"] * 64),
        command(env={f"A{n}": "1" for n in range(64)}, removes=[f"p{n}" for n in range(64)]),
    )
    yield accepted("a command in a tree", command(argv=["%{stage}/src/a/install"]), tree=True)
    yield refused("a command that is a tree", command(argv=["%{stage}/src"]), tree=True)


def package_steps():
    """packages and dkms."""
    source = {"do": "dkms", "module": "nic", "version": "1.0", "files": ["src"]}
    for name in HOSTILE_NAMES:
        yield refused(f"dkms of {name[:12]!r}", {"do": "dkms", "module": name})
        yield refused(f"dkms of version {name[:12]!r}", {**source, "version": name}, tree=True)
    for name, step in (
        ("packages held with a word", {"do": "packages", "files": ["nic/nic.ko"], "hold": "yes"}),
        ("modules held", {"do": "modules", "files": ["nic/nic.ko"], "hold": True}),
        ("dkms of nothing", {"do": "dkms"}),
        ("dkms of a version without source", {"do": "dkms", "module": "nic", "version": "1.0"}),
        ("dkms of source without a version", {"do": "dkms", "module": "nic", "files": ["src"]}),
        ("dkms of no source", {**source, "files": []}),
        ("dkms of a file", {**source, "files": ["nic/nic.ko"]}),
        ("dkms of a tree and a file", {**source, "files": ["nic/nic.ko", "src"]}),
        ("dkms of a name too long", {**source, "module": "a" * 125}),
        ("dkms with a folder", {**source, "into": "/usr/src"}),
    ):
        yield refused(name, step, tree=True)
    yield accepted(
        "dkms and packages",
        {"do": "dkms", "module": "mlnx-ofed-kernel"},
        {**source, "module": "a" * 124},
        {"do": "packages", "files": ["nic/nic.ko"], "hold": True},
        {"do": "packages", "files": ["nic/nic.ko"], "hold": False},
        tree=True,
    )


def service_steps():
    """Units of systemd."""
    for name in (*HOSTILE_NAMES, "openibd", ".service", "a.mount", "a*.service", "-a.service"):
        yield refused(f"service {name[:12]!r}", {"do": "service", "units": [name]})
    unit = {"do": "service", "units": ["a.service"]}
    for name, step in (
        ("service of none", {"do": "service", "units": []}),
        ("service twice", {"do": "service", "units": ["a.service"] * 2}),
        ("65 services", {"do": "service", "units": [f"a{n}.service" for n in range(65)]}),
        ("service of 129 bytes", {"do": "service", "units": ["a" * 121 + ".service"]}),
        ("service started with a word", {**unit, "start": "now"}),
        ("service with a command", {**unit, "argv": ["/bin/true"]}),
    ):
        yield refused(name, step)
    yield accepted(
        "services",
        {"do": "service", "units": ["ifup@ib0.service", "a" * 120 + ".service"], "start": True},
        {"do": "service", "units": ["a.socket", "b.timer", "c.path", "d.target"], "start": False},
    )


def setting_steps():
    """sysctl, limits, waagent: what becomes a line of a file."""
    for kind, good in (("sysctl", "a.b"), ("limits", "memlock"), ("waagent", "OS.EnableRDMA")):
        for name in (*HOSTILE_NAMES, "a..b", ".a", "a.b\n", "a=b", "a.b c", "#a", "a/c", "-"):
            if name.lower() in ("con", "com1", "nul.txt", "lpt9.x") and kind != "limits":
                continue  # no file has this name
            yield refused(f"{kind} {name[:12]!r} {len(name)}", settings(kind, name))
        for value in ("", " 1", "1 ", "1\n2", "é", "1" * 257, 1, None, ["1"]):
            yield refused(f"{kind} to {str(value)[:8]!r}", settings(kind, good, value))
        yield refused(f"{kind} of nothing", {"do": kind, "settings": {}})
        yield refused(f"{kind} as a list", {"do": kind, "settings": [f"{good}=1"]})
        yield refused(f"{kind} of none", {"do": kind})
        many = {f"a.b{n}": "1" for n in range(65)}
        yield refused(f"{kind} of 65", {"do": kind, "settings": many})
    for name in ("rmem_max", "--a.b", "a.-b", "a.b/c", "a." + "b" * 127, ".".join("a" * 11)):
        yield refused(f"sysctl {name[:12]!r} {len(name)}", settings("sysctl", name))
    for value in ("-1", "01", "1k", "infinity", "1000000000000", "Unlimited"):
        yield refused(f"limits memlock {value}", settings("limits", "memlock", value))
    yield refused("limits nofile unlimited", settings("limits", "nofile", "unlimited"))
    yield refused("limits of who may log in", settings("limits", "maxlogins"))
    for value in ("y # no", 'a"b'):
        yield refused(f"waagent to {value!r}", settings("waagent", "OS.EnableRDMA", value))
    for kind in ("ipoib", "rdma_names"):
        yield refused(f"{kind} with settings", settings(kind, "a.b"))
        yield refused(f"{kind} with files", {"do": kind, "files": ["nic/nic.ko"]})
    yield accepted(
        "settings",
        {"do": "sysctl", "settings": {f"a.b{n}": "1" for n in range(64)}},
        settings("sysctl", "-net.ipv4.conf.eth0.rp_filter", "4096 87380 6291456"),
        settings("sysctl", "a." + "b" * 126, "1" * 256),
        settings("sysctl", ".".join("a" * 10), "-1"),
        {"do": "limits", "settings": {"memlock": "unlimited", "nofile": "1048576", "stack": "0"}},
        settings("limits", "core", "999999999999"),
        {"do": "waagent", "settings": {"OS.EnableRDMA": "y", "Logs.Verbose": "n"}},
        {"do": "ipoib"},
        {"do": "rdma_names"},
    )


def step_cases():
    """Every kind of step, and what of it is refused."""
    yield from command_words()
    yield from command_fields()
    yield from package_steps()
    yield from service_steps()
    yield from setting_steps()
