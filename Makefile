# larder: one Makefile, everything under build/.
#   make            the programs                      make demo      the main job, for real
#   make check      all tests (needs root)            make deps      what building, demo and tests need
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

CC = gcc
BUILD = build
PYTHON = /usr/bin/python3
PREFIX = /usr

WARNINGS = -Wall -Wextra -Wshadow -Wformat=2 -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wswitch-enum -Wundef -Wvla -Wwrite-strings -Wcast-qual
HARDENING = -O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
HARDENING_LINK = -pie -Wl,-z,relro,-z,now
STATIC = -static-pie
# A static program that looks up hosts is warned of; process.h pins how it does. ld --no-warnings would let undefined symbols
# pass as well.
define link_static
$(call say,LINK)$(CC) $(HARDENING) $(STATIC) -Wl,-z,relro,-z,now -Wl,--gc-sections $(EXTRA) -o $@.full $(1) 2>$@.log || \
	{ cat $@.log >&2; exit 1; }
@strip -o $@ $@.full
endef
CFLAGS = -g
EXTRA =
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -I$(BUILD) $(WARNINGS) $(HARDENING) -fPIE \
	$(CFLAGS) $(EXTRA)

HOST_LIBS = -lcurl -larchive -lseccomp -lext2fs -lcom_err -lblkid -lssl -lcrypto -lzstd -ljansson -lelf -lz -llzma -lpthread
CURL_LIB = build/static/libcurl.a
DOWNLOAD_LIBS = $(CURL_LIB) -lssl $(AGENT_LIBS)
AGENT_LIBS = -lcrypto -lzstd -ljansson -lelf -lz -llzma -lpthread

sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
CACHE_OBJECTS = $(call objects,cache/base) $(call objects,cache)
NET_OBJECTS = $(call objects,cache/net)
BAKE_OBJECTS = $(filter-out %/main.o,$(call objects,bake))
VERIFY_OBJECTS = $(filter-out %/main.o %/far_net.o %/far_exec.o,$(call objects,verify))
FIRSTBOOT_OBJECTS = $(filter-out %/main.o %/download_main.o,$(call objects,firstboot))
UNITS = $(sort $(wildcard firstboot/units/*))
PROGRAMS = $(BUILD)/larder $(BUILD)/larder-verify $(BUILD)/larder-verify-registry $(BUILD)/larder-firstboot \
	$(BUILD)/larder-download
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all programs man deps deps-build deps-demo deps-unit deps-lint deps-check deps-fuzz deps-bench bench demo check \
	unit e2e real sweep vm vm-check lint layers werror sanitize fuzz fuzz-cases fuzz-targets install clean \
	run-unit run-e2e run-e2e-programs run-e2e-cases run-real run-sweep run-vm-check run-lint run-werror run-man
.SECONDARY:

all: deps-build
	@$(MAKE) --no-print-directory programs

programs: $(PROGRAMS)

$(BUILD)/larder: $(BUILD)/obj/bake/main.o $(BUILD)/libbake.a $(BUILD)/libnet.a $(BUILD)/libcache.a
	$(call say,LINK)$(CC) $(HARDENING) $(HARDENING_LINK) $(EXTRA) -o $@ $^ $(HOST_LIBS)

# The same main twice: the one is static, has no HTTP in it, and starts in a third of the time.
$(BUILD)/larder-verify: $(BUILD)/obj/verify/main.o $(BUILD)/obj/verify/far_exec.o $(BUILD)/libverify.a $(BUILD)/libcache.a
	$(call link_static,$^ $(AGENT_LIBS))

$(BUILD)/larder-verify-registry: $(BUILD)/obj/verify/main.o $(BUILD)/obj/verify/far_net.o $(BUILD)/libverify.a \
		$(BUILD)/libnet.a $(BUILD)/libcache.a
	$(call say,LINK)$(CC) $(HARDENING) $(HARDENING_LINK) $(EXTRA) -o $@ $^ -lcurl -lssl $(AGENT_LIBS)

$(BUILD)/larder-firstboot: $(BUILD)/obj/firstboot/main.o $(BUILD)/libfirstboot.a $(BUILD)/libcache.a
	$(call link_static,$^ $(AGENT_LIBS))

$(BUILD)/larder-download: $(BUILD)/obj/firstboot/download_main.o $(BUILD)/libfirstboot.a $(BUILD)/libnet.a $(BUILD)/libcache.a \
		$(filter %.a,$(CURL_LIB))
	$(call link_static,$(filter-out $(CURL_LIB),$^) $(DOWNLOAD_LIBS))

$(BUILD)/libcache.a: $(CACHE_OBJECTS)
$(BUILD)/libnet.a: $(NET_OBJECTS)
$(BUILD)/libbake.a: $(BAKE_OBJECTS)
$(BUILD)/libverify.a: $(VERIFY_OBJECTS)
$(BUILD)/libfirstboot.a: $(FIRSTBOOT_OBJECTS)
$(BUILD)/%.a:
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

# make V=1 shows the commands.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)
$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The systemd units are part of larder: embed writes them.
$(BUILD)/obj/bake/embed.o: $(BUILD)/gen/units.h
$(BUILD)/gen/units.h: $(UNITS) Makefile
	@mkdir -p $(@D)
	@{ printf 'static const struct unit { const char *name, *text; } units[] = {\n'; \
	for unit in $(UNITS); do printf '{ "%s",\n' "$$(basename $$unit)"; \
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$unit; printf '},\n'; done; \
	printf '};\n'; } > $@

-include $(shell find $(BUILD)/obj $(BUILD)/unit $(BUILD)/target -name '*.d' 2>/dev/null)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/obj/verify/far_exec.o $(BUILD)/libbake.a $(BUILD)/libverify.a $(BUILD)/libfirstboot.a $(BUILD)/libnet.a \
		$(BUILD)/libcache.a
	@mkdir -p $(@D)
	$(call say,TEST)$(CC) $(ALL_CFLAGS) -MMD -MP $(HARDENING_LINK) -o $@ $(filter %.c %.o %.a,$^) -lcmocka $(HOST_LIBS)

# --- libcurl for a static program -----------------------------------------------------------------
# The distribution's libcurl.a wants Kerberos and LDAP; this one, from its source package, has http and https alone. All
# builds share it, and once build/static has the source nothing is asked of the network. apt judges what it fetches by the
# machine's own sources, wherever their lines are deb alone; no source goes unchecked, even where the machine trusts it.

CURL_CONFIGURE = --disable-shared --enable-static --with-openssl --without-ca-bundle --without-ca-path \
	--disable-openssl-auto-load-config \
	$(addprefix --without-,zlib brotli zstd libpsl libidn2 nghttp2 nghttp3 ngtcp2 libssh2 librtmp gssapi) \
	$(addprefix --disable-,ldap ldaps ftp file rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual ntlm ntlm-wb \
	tls-srp alt-svc doh netrc cookies unix-sockets libcurl-option hsts ares)

build/static/source/.whole:
	@rm -rf $(@D) && mkdir -p $(@D)
	$(call say,FETCH)private=$$(mktemp -d) && trap 'rm -rf $$private' EXIT && chmod 755 $$private && \
	mkdir -p $$private/parts $$private/lists/partial $$private/cache/archives/partial && cd /etc/apt && \
	for file in sources.list sources.list.d/*.list; do \
		[ ! -e $$file ] || sed -n '/trusted\|allow-/Id; s/^deb\(-src\)\?[[:space:]]/deb-src /p' $$file; \
	done > $$private/sources.list && \
	for file in sources.list.d/*.sources; do \
		[ ! -e $$file ] || sed '/^\(Trusted\|Allow-.*\):/Id; s/^Types:.*/Types: deb-src/I' $$file \
			> $$private/parts/$${file##*/}; \
	done && cd $(CURDIR)/$(@D) && \
	apt() { apt-get -qq -o Dir::Etc::SourceList=$$private/sources.list -o Dir::Etc::SourceParts=$$private/parts \
		-o Dir::State::Lists=$$private/lists -o Dir::Cache=$$private/cache -o APT::Get::AllowUnauthenticated=false \
		-o Acquire::AllowInsecureRepositories=false -o Acquire::AllowWeakRepositories=false "$$@"; } && \
	{ apt update; apt source --download-only curl; } >../fetch.log 2>&1 </dev/null || { cat ../fetch.log >&2; exit 1; }
	@touch $@

# Debian's patches change what autotools would make anew; the order of times says that it is made.
$(CURL_LIB): build/static/source/.whole
	@rm -rf build/static/tree
	$(call say,CURL)cd build/static && { dpkg-source --no-copy -x source/curl_*.dsc tree && cd tree && \
	touch aclocal.m4 && touch configure && find . -name Makefile.in -o -name '*.h.in' | xargs touch && \
	./configure $(CURL_CONFIGURE) CC=gcc CFLAGS="$(HARDENING) -fPIE -ffunction-sections -fdata-sections" && \
	$(MAKE) -C lib -j2; } >curl.log 2>&1 </dev/null || { tail -20 curl.log >&2; exit 1; }
	@mv build/static/tree/lib/.libs/libcurl.a $@ && rm -rf build/static/tree

unit: deps-unit
	@$(MAKE) --no-print-directory run-unit

run-unit: $(UNIT_TESTS)
	@failed=0; for test in $(UNIT_TESTS); do $$test || failed=1; done; exit $$failed

# --- packages -----------------------------------------------------------------------------------
# Debian 12 and later; Ubuntu 22.04 and later have the same names (not tested).

DEPS_build = gcc libc6-dev binutils dpkg-dev libcurl4-openssl-dev libarchive-dev libseccomp-dev libssl-dev libzstd-dev \
	libjansson-dev libelf-dev zlib1g-dev liblzma-dev libext2fs-dev libblkid-dev
DEPS_demo = qemu-system-x86 mmdebstrap busybox-static cpio e2fsprogs gdisk xz-utils kmod python3 \
	openssl jq
DEPS_unit = libcmocka-dev
DEPS_lint = clang clang-format clang-tidy
DEPS_check = $(DEPS_demo) $(DEPS_unit) $(DEPS_lint) python3-pytest python3-pytest-timeout python3-jsonschema \
	strace procps mount python3-cryptography zstd softhsm2 opensc docker-registry skopeo gnupg dnf createrepo-c chromium \
	rpm qemu-utils python3-prometheus-client nginx-light tinyproxy-bin
DEPS_fuzz = clang libclang-rt-dev python3
DEPS_bench = python3 openssl zstd coreutils findutils strace squashfs-tools borgbackup casync ostree rauc dpkg \
	rpm tar e2fsprogs mount util-linux diffutils curl wget aria2

# Installs what is missing of a group, and says nothing when nothing is. A target that people call asks for its group, then
# runs run-TARGET; what runs several targets asks once, and runs those. Without dpkg nothing is asked.
define install_packages
@command -v dpkg-query >/dev/null || exit 0; missing=; for package in $(1); do \
	case "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" in \
	installed) ;; *) missing="$$missing $$package" ;; esac; done; \
if [ -n "$$missing" ]; then \
	if [ "$$(id -u)" != 0 ]; then \
		echo "larder needs packages; as root: apt-get install --no-install-recommends$$missing" >&2; \
		exit 1; \
	fi; \
	echo "installing:$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	{ apt-get -qq update && apt-get -qq -o Dpkg::Use-Pty=0 -y install --no-install-recommends \
		$$missing; } >$(BUILD)/apt.log 2>&1 </dev/null || { cat $(BUILD)/apt.log >&2; exit 1; }; \
fi
endef

deps: deps-check
deps-build deps-demo deps-unit deps-lint deps-check deps-fuzz deps-bench: deps-%: | $(BUILD)
	$(call install_packages,$(DEPS_$*))
# One apt at a time.
deps-demo deps-unit deps-lint deps-check deps-fuzz deps-bench: | deps-build
$(BUILD):
	@mkdir -p $@

# --- the main job, and the tests ------------------------------------------------------------------

PYTEST = LARDER_BUILD=$(BUILD) $(PYTHON) -B -m pytest -q -p no:cacheprovider --rootdir=tests -c tests/pytest.ini
C_FILES = $(foreach dir,cache/base cache cache/net bake verify firstboot tests/unit tests/fuzz,$(wildcard $(dir)/*.c))
H_FILES = $(foreach dir,cache/base cache cache/net bake verify firstboot tests/unit tests/fuzz,$(wildcard $(dir)/*.h))

demo: all deps-demo
	@LARDER_BUILD=$(BUILD) $(PYTHON) -B tests/vm/demo.py

check: all deps-check
	$(MAKE) --no-print-directory layers run-lint run-werror
	$(MAKE) --no-print-directory run-unit
	$(MAKE) --no-print-directory run-e2e
	$(MAKE) --no-print-directory run-vm-check

e2e real sweep vm-check: deps-check
	@$(MAKE) --no-print-directory run-$@

# Two at a time, one on each core.
run-e2e: programs
	@$(MAKE) --no-print-directory -j2 run-e2e-programs run-e2e-cases
run-e2e-programs:
	$(PYTEST) tests/e2e -m 'not slow' --ignore=tests/e2e/test_hostile.py
run-e2e-cases:
	$(PYTEST) tests/conformance tests/e2e/test_hostile.py -m 'not slow'

# Debian's own packages, resolved for roots of two releases and installed there without a network.
run-real: programs
	$(PYTEST) tests/e2e -m slow

# Every fault at every system call that changes something; check takes one at each.
run-sweep: programs
	LARDER_SWEEP=all $(PYTEST) tests/e2e/test_sweep.py tests/e2e/test_serial.py tests/e2e/test_verify.py

# The guests of the main story, at most four full boots; vm runs all of them.
run-vm-check: programs
	$(PYTEST) tests/vm -m 'not slow'

vm: all deps-check
	$(PYTEST) tests/vm

# Arrows point down only: base <- cache <- net <- the programs, which do not know each other; the agent has no network:
# that is larder-download's.
layers:
	@! grep -n '#include "\(bake\|verify\|firstboot\|cache/net/\|cache/[a-z0-9_]*\.h\)' cache/base/*.[ch]
	@! grep -n '#include "\(bake\|verify\|firstboot\|cache/net\)/' cache/*.[ch]
	@! grep -n '#include "\(bake\|verify\|firstboot\)/' cache/net/*.[ch]
	@! grep -n '#include "\(verify\|firstboot\)/' bake/*.[ch]
	@! grep -n '#include "\(bake\|firstboot\)/' verify/*.[ch]
	@! grep -n '#include "\(bake\|verify\)/' firstboot/*.[ch]
	@! grep -n '#include "\(cache/net/\|firstboot/download_[^r]\)' $(filter-out firstboot/download_%,$(wildcard firstboot/*.[ch]))
	@echo "layers: ok"

lint werror: deps-lint
	@$(MAKE) --no-print-directory run-$@

run-lint: $(BUILD)/gen/units.h
	@clang-format --dry-run -Werror $(C_FILES) $(H_FILES)
	@printf '%s\n' $(C_FILES) | xargs -P 2 -n 4 sh -c 'clang-tidy --quiet "$$@" -- -std=c17 -D_GNU_SOURCE -I. -I$(BUILD) 2>/dev/null' tidy
	@echo "lint: ok"

run-werror: $(BUILD)/gen/units.h
	@$(MAKE) --no-print-directory -s -j2 programs BUILD=$(BUILD)/gcc CC=gcc EXTRA=-Werror
	@$(MAKE) --no-print-directory -s -j2 programs BUILD=$(BUILD)/clang CC=clang EXTRA=-Werror
	@echo "werror: ok"

# Dynamic builds: the sanitizers do not link statically.
SANITIZE = BUILD=$(BUILD)/sanitize STATIC=-pie CURL_LIB=-lcurl \
	HARDENING="-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
sanitize: all deps-check
	$(MAKE) --no-print-directory -s -j2 programs $(SANITIZE)
	$(MAKE) --no-print-directory -s run-unit $(SANITIZE)
	$(MAKE) --no-print-directory run-e2e $(SANITIZE)

# --- fuzzing --------------------------------------------------------------------------------------
# make fuzz FUZZ_SECONDS=3600: so long for each target; fuzz-cases: every seed and every case once.

FUZZ_SECONDS = 120
FUZZ_NAMES = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ = BUILD=$(BUILD)/fuzz CC=clang \
	HARDENING="-O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all"

$(BUILD)/target/%: tests/fuzz/fuzz_%.c $(BUILD)/libbake.a $(BUILD)/libfirstboot.a $(BUILD)/libnet.a $(BUILD)/libcache.a
	@mkdir -p $(@D)
	$(call say,FUZZ)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer -MMD -MP -o $@ $< $(filter %.a,$^) $(HOST_LIBS)

fuzz-targets: $(FUZZ_NAMES:%=$(BUILD)/target/%)
fuzz fuzz-cases: deps-build deps-fuzz
	@$(MAKE) --no-print-directory -s -j2 fuzz-targets $(FUZZ)
	@$(PYTHON) -B tests/fuzz/run.py $(BUILD)/fuzz $(if $(filter fuzz,$@),$(FUZZ_SECONDS),0) $(FUZZ_NAMES)

# --- benchmarks -----------------------------------------------------------------------------------
# make bench BENCH_ROWS="V1 V2" BENCH_WRITE=1: these rows alone; docs/BENCHMARKS.md as well.

BENCH_ROWS =
BENCH_WRITE =
bench: all deps-bench
	@LARDER_BUILD=$(BUILD) $(PYTHON) -B tests/bench/bench.py $(if $(BENCH_WRITE),--write) $(BENCH_ROWS)

man: all
	@$(MAKE) --no-print-directory run-man

run-man: programs
	@mkdir -p $(BUILD)/man
	@for program in $(filter-out %-registry,$(PROGRAMS)); do $$program --man > $(BUILD)/man/$$(basename $$program).1; done

install: man
	install -D -m 755 $(BUILD)/larder $(DESTDIR)$(PREFIX)/bin/larder
	install -D -m 755 $(BUILD)/larder-verify $(DESTDIR)$(PREFIX)/bin/larder-verify
	install -D -m 755 $(BUILD)/larder-verify-registry $(DESTDIR)$(PREFIX)/libexec/larder/larder-verify-registry
	install -D -m 755 $(BUILD)/larder-firstboot $(DESTDIR)$(PREFIX)/libexec/larder/larder-firstboot
	install -D -m 755 $(BUILD)/larder-download $(DESTDIR)$(PREFIX)/libexec/larder/larder-download
	for page in $(BUILD)/man/*.1; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man1/$$(basename $$page); done

clean:
	rm -rf $(BUILD)
