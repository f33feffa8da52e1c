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
CFLAGS = -g
EXTRA =
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -I$(BUILD) $(WARNINGS) $(HARDENING) -fPIE \
	$(CFLAGS) $(EXTRA)

HOST_LIBS = -lcurl -larchive -lssl -lcrypto -lzstd -ljansson -lelf -lpthread
AGENT_LIBS = -lcrypto -lzstd -ljansson -lelf -lz -lpthread

sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(call sources,$(1)))
CACHE_OBJECTS = $(call objects,cache/base) $(call objects,cache)
BAKE_OBJECTS = $(filter-out %/main.o,$(call objects,bake))
VERIFY_OBJECTS = $(filter-out %/main.o,$(call objects,verify))
FIRSTBOOT_OBJECTS = $(filter-out %/main.o,$(call objects,firstboot))
UNITS = $(sort $(wildcard firstboot/units/*))
PROGRAMS = $(BUILD)/larder $(BUILD)/larder-verify $(BUILD)/larder-firstboot
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all programs man deps-build deps-demo deps-check deps demo check unit e2e vm vm-check lint layers \
	werror sanitize install clean

all: deps-build
	@$(MAKE) --no-print-directory programs

programs: $(PROGRAMS)

$(BUILD)/larder: $(BUILD)/obj/bake/main.o $(BUILD)/libbake.a $(BUILD)/libcache.a
	$(CC) $(HARDENING_LINK) $(EXTRA) -o $@ $^ $(HOST_LIBS)

$(BUILD)/larder-verify: $(BUILD)/obj/verify/main.o $(BUILD)/libverify.a $(BUILD)/libcache.a
	$(CC) $(HARDENING_LINK) $(EXTRA) -o $@ $^ $(AGENT_LIBS)

$(BUILD)/larder-firstboot: $(BUILD)/obj/firstboot/main.o $(BUILD)/libfirstboot.a $(BUILD)/libcache.a
	$(CC) $(STATIC) -Wl,-z,relro,-z,now -Wl,--gc-sections $(EXTRA) -o $@.full $^ $(AGENT_LIBS)
	strip -o $@ $@.full

$(BUILD)/libcache.a: $(CACHE_OBJECTS)
$(BUILD)/libbake.a: $(BAKE_OBJECTS)
$(BUILD)/libverify.a: $(VERIFY_OBJECTS)
$(BUILD)/libfirstboot.a: $(FIRSTBOOT_OBJECTS)
$(BUILD)/%.a:
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The systemd units are part of larder: embed writes them.
$(BUILD)/obj/bake/embed.o: $(BUILD)/gen/units.h
$(BUILD)/gen/units.h: $(UNITS) Makefile
	@mkdir -p $(@D)
	@{ printf 'static const struct unit { const char *name, *text; } units[] = {\n'; \
	for unit in $(UNITS); do printf '{ "%s",\n' "$$(basename $$unit)"; \
	sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$unit; printf '},\n'; done; \
	printf '};\n'; } > $@

-include $(shell find $(BUILD)/obj $(BUILD)/unit -name '*.d' 2>/dev/null)

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libbake.a $(BUILD)/libfirstboot.a $(BUILD)/libverify.a $(BUILD)/libcache.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP $(HARDENING_LINK) -o $@ $(filter %.c %.a,$^) -lcmocka $(HOST_LIBS)

clean:
	rm -rf $(BUILD)
