#include "firstboot/prove.h"
#include "tests/unit/sysroot.h"

#include <elf.h>

#include "firstboot/module.h"

#define KERNEL "6.1.0-1-amd64"
#define ADDRESS "225e:00:02.0"
#define DEVICE "sys/devices/top/" ADDRESS "/"
#define PORT DEVICE "infiniband/mlx5_0/ports/1/"
#define NOTE_SIZE 36

/* The least ELF file with a build id, the note's content made from seed. */
struct little_elf {
	Elf64_Ehdr header;
	uint8_t note[NOTE_SIZE];
	char names[32];
	Elf64_Shdr section[3];
};

static struct little_elf elf_of(uint8_t seed)
{
	struct little_elf elf = { .names = "\0.shstrtab\0.note.gnu.build-id" };

	memcpy(elf.header.e_ident, ELFMAG, SELFMAG);
	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.header.e_ident[EI_VERSION] = EV_CURRENT;
	elf.header.e_type = ET_REL;
	elf.header.e_machine = EM_X86_64;
	elf.header.e_version = EV_CURRENT;
	elf.header.e_shoff = offsetof(struct little_elf, section);
	elf.header.e_ehsize = sizeof(Elf64_Ehdr);
	elf.header.e_shentsize = sizeof(Elf64_Shdr);
	elf.header.e_shnum = 3;
	elf.header.e_shstrndx = 1;
	memset(elf.note, seed, sizeof(elf.note));
	elf.section[1] = (Elf64_Shdr) { .sh_name = 1,
					.sh_type = SHT_STRTAB,
					.sh_offset = offsetof(struct little_elf, names),
					.sh_size = sizeof(elf.names),
					.sh_addralign = 1 };
	elf.section[2] = (Elf64_Shdr) { .sh_name = 11,
					.sh_type = SHT_NOTE,
					.sh_offset = offsetof(struct little_elf, note),
					.sh_size = NOTE_SIZE,
					.sh_addralign = 4 };
	return elf;
}

static void put_loaded(const struct sysroot *sysroot, uint8_t seed)
{
	const struct little_elf elf = elf_of(seed);

	sysroot_write(sysroot, "sys/module/e1000e/notes/.note.gnu.build-id", elf.note,
		      NOTE_SIZE);
}

static void put_installed(const struct sysroot *sysroot, uint8_t seed)
{
	const struct little_elf elf = elf_of(seed);

	sysroot_text(sysroot, "lib/modules/" KERNEL "/modules.dep",
		     "kernel/other.ko:\nupdates/larder/e1000e.ko: kernel/other.ko\n");
	sysroot_write(sysroot, "lib/modules/" KERNEL "/updates/larder/e1000e.ko", &elf,
		      sizeof(elf));
}

static void test_module_names(void **state)
{
	static const struct {
		const char *path, *name;
	} rows[] = {
		{ "mlx5-core.ko", "mlx5_core" },
		{ "a/b/ib_core.ko.xz", "ib_core" },
		{ "x.ko.zst", "x" },
		{ "x.ko.gz", "x" },
		{ "x.ko.bz2", NULL },
		{ ".ko", NULL },
		{ "x", NULL },
		{ "x.ko/", NULL },
		{ "../x.ko", "x" },
		{ "a b.ko", NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789.ko",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char name[MODULE_NAME_SIZE] = "";
		bool good = module_name_of(rows[i].path, name);

		CHECK(good == (rows[i].name != NULL), "row %zu", i);
		CHECK(!good || strcmp(name, rows[i].name) == 0, "row %zu", i);
	}
}

static void test_compare(void **state)
{
	struct sysroot *sysroot = *state;
	const struct machine *machine = &sysroot->machine;

	assert_false(module_is_loaded(machine, "e1000e"));
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_NOT_COMPARED);
	put_loaded(sysroot, 1);
	assert_true(module_is_loaded(machine, "e1000e"));
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_NOT_COMPARED);
	put_installed(sysroot, 1);
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_SAME);
	put_installed(sysroot, 2);
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_OTHER);
	sysroot_text(sysroot, "lib/modules/" KERNEL "/updates/larder/e1000e.ko",
		     "(compressed)");
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_NOT_COMPARED);
	sysroot_text(sysroot, "lib/modules/" KERNEL "/modules.dep",
		     "/lib/modules/x/e1000e.ko:\n");
	assert_int_equal(module_compare(machine, KERNEL, "e1000e"), MODULE_NOT_COMPARED);
}

/* Whatever an installed file holds, reading it stays within its bounds. */
static void test_broken_elf(void **state)
{
	struct sysroot *sysroot = *state;
	const struct little_elf good = elf_of(1);

	put_loaded(sysroot, 1);
	for (size_t size = 0; size < sizeof(good); size += 3) {
		put_installed(sysroot, 1);
		sysroot_write(sysroot, "lib/modules/" KERNEL "/updates/larder/e1000e.ko", &good,
			      size);
		assert_int_not_equal(module_compare(&sysroot->machine, KERNEL, "e1000e"),
				     MODULE_SAME);
	}
	for (size_t at = offsetof(struct little_elf, section); at < sizeof(good); at++) {
		struct little_elf elf = good;

		((uint8_t *)&elf)[at] ^= 0xff;
		sysroot_write(sysroot, "lib/modules/" KERNEL "/updates/larder/e1000e.ko", &elf,
			      sizeof(elf));
		module_compare(&sysroot->machine, KERNEL, "e1000e");
	}
}

static struct facts_device device_of(const struct sysroot *sysroot, const char *driver,
				     const char *interface)
{
	sysroot_device(sysroot, "pci", ADDRESS, SYSROOT_NIC, driver, interface);
	return (struct facts_device) { .bus = "pci", .address = ADDRESS };
}

static void test_bound(void **state)
{
	static const struct {
		const char *now, *expected;
		enum reason reason;
	} rows[] = {
		{ NULL, "mlx5_core", REASON_PROOF_FAILED },
		{ "mlx5_core", "mlx5_core", REASON_DONE },
		{ "mlx4_core", "mlx5_core", REASON_REBOOT },
		{ "mlx4_core", NULL, REASON_DONE },
	};
	struct sysroot *sysroot = *state;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct record_expect expect = { .driver = rows[i].expected };
		const struct prove prove = { .machine = &sysroot->machine,
					     .kernel = KERNEL,
					     .expect = &expect,
					     .deadline_ms = 0 };
		struct facts_device device = device_of(sysroot, rows[i].now, NULL);
		char text[PLAN_TEXT_MAX];

		CHECK(prove_bound(&prove, &device, text) == rows[i].reason, "row %zu", i);
		CHECK((text[0] == '\0') == (rows[i].reason == REASON_DONE), "row %zu", i);
	}
}

static void test_modules(void **state)
{
	static const struct {
		uint8_t loaded, installed;
		enum reason reason;
		const char *text;
	} rows[] = {
		{ 1, 1, REASON_DONE, "loaded module is the installed one" },
		{ 1, 2, REASON_REBOOT, "the loaded module e1000e is not the one installed" },
		{ 1, 0, REASON_DONE, "loaded module not compared" },
	};
	struct sysroot *sysroot = *state;
	const char *files[] = { "modules/e1000e.ko" };
	struct record_step step = { .kind = RECORD_DO_MODULES, .files = { files, 1 } };
	const struct record record = { .step = &step, .step_count = 1 };
	const struct record_expect expect = { .driver = "e1000e" };
	const struct prove prove = { .machine = &sysroot->machine,
				     .kernel = KERNEL,
				     .expect = &expect };
	const struct facts_device device = device_of(sysroot, "e1000e", NULL);

	sysroot_link(sysroot, "sys/bus/pci/drivers/e1000e/module", "../../../../module/e1000e");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[PLAN_TEXT_MAX];

		put_loaded(sysroot, rows[i].loaded);
		put_installed(sysroot, rows[i].installed);
		if (!rows[i].installed)
			sysroot_text(sysroot, "lib/modules/" KERNEL "/modules.dep", "");
		CHECK(prove_modules(&prove, &record, &device, text) == rows[i].reason,
		      "row %zu", i);
		CHECK(strcmp(text, rows[i].text) == 0, "row %zu: %s", i, text);
	}
}

static enum reason link_of(const struct sysroot *sysroot, const struct record_expect *expect,
			   char text[PLAN_TEXT_MAX])
{
	const struct prove prove = { .machine = &sysroot->machine, .expect = expect };
	struct facts_device device = { .bus = "pci", .address = ADDRESS };

	return prove_link(&prove, &device, text);
}

static void test_carrier(void **state)
{
	struct sysroot *sysroot = *state;
	const struct record_expect expect = { .carrier = true }, none = { 0 };
	AUTO_FREE char *untouched = NULL, *raised = NULL;
	char text[PLAN_TEXT_MAX];

	device_of(sysroot, "e1000e", NULL);
	assert_int_equal(link_of(sysroot, &expect, text), REASON_PROOF_FAILED);
	assert_string_equal(text, "no network interface appeared in time");
	device_of(sysroot, "e1000e", "eth0");
	assert_int_equal(link_of(sysroot, &none, text), REASON_DONE);
	untouched = sysroot_read(sysroot, DEVICE "net/eth0/flags");
	assert_string_equal(untouched, "0x1002\n");
	assert_int_equal(link_of(sysroot, &expect, text), REASON_PROOF_FAILED);
	assert_string_equal(text, "eth0 has no carrier");
	raised = sysroot_read(sysroot, DEVICE "net/eth0/flags");
	assert_string_equal(raised, "0x1003\n");
	sysroot_text(sysroot, DEVICE "net/eth0/carrier", "0\n");
	assert_int_equal(link_of(sysroot, &expect, text), REASON_PROOF_FAILED);
	sysroot_text(sysroot, DEVICE "net/eth0/carrier", "1\n");
	assert_int_equal(link_of(sysroot, &expect, text), REASON_DONE);
	assert_string_equal(text, "eth0 carrier");
}

static void test_ports(void **state)
{
	static const struct {
		const char *layer, *phys, *logical;
		struct record_expect expect;
		enum reason reason;
	} rows[] = {
		{ "InfiniBand",
		  "5: LinkUp",
		  "2: INIT",
		  { .link_layer = "InfiniBand" },
		  REASON_DONE },
		{ "InfiniBand",
		  "5: LinkUp",
		  "2: INIT",
		  { .link_layer = "InfiniBand", .port = "physical" },
		  REASON_DONE },
		{ "InfiniBand",
		  "5: LinkUp",
		  "2: INIT",
		  { .link_layer = "InfiniBand", .port = "logical" },
		  REASON_PROOF_FAILED },
		{ "InfiniBand",
		  "5: LinkUp",
		  "4: ACTIVE",
		  { .link_layer = "InfiniBand", .port = "logical" },
		  REASON_DONE },
		{ "InfiniBand",
		  "3: Disabled",
		  "1: DOWN",
		  { .link_layer = "InfiniBand", .port = "physical" },
		  REASON_PROOF_FAILED },
		{ "Ethernet",
		  "5: LinkUp",
		  "4: ACTIVE",
		  { .link_layer = "InfiniBand" },
		  REASON_NOT_INFINIBAND },
		{ "Ethernet",
		  "5: LinkUp",
		  "4: ACTIVE",
		  { .link_layer = "Ethernet" },
		  REASON_DONE },
		{ "InfiniBand",
		  "5: LinkUp",
		  "4: ACTIVE",
		  { .link_layer = "Ethernet" },
		  REASON_PROOF_FAILED },
		{ "Ethernet", "5: LinkUp", "4: ACTIVE", { .port = "physical" }, REASON_DONE },
	};
	struct sysroot *sysroot = *state;

	device_of(sysroot, "mlx5_core", NULL);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[PLAN_TEXT_MAX];

		sysroot_text(sysroot, PORT "link_layer", rows[i].layer);
		sysroot_text(sysroot, PORT "phys_state", rows[i].phys);
		sysroot_text(sysroot, PORT "state", rows[i].logical);
		CHECK(link_of(sysroot, &rows[i].expect, text) == rows[i].reason, "row %zu: %s",
		      i, text);
	}
}

/* A NIC without RDMA: what its interface is. */
static void test_interface_type(void **state)
{
	static const struct {
		const char *type, *expected;
		enum reason reason;
	} rows[] = {
		{ "1\n", "Ethernet", REASON_DONE },
		{ "32\n", "InfiniBand", REASON_DONE },
		{ "1\n", "InfiniBand", REASON_NOT_INFINIBAND },
		{ "32\n", "Ethernet", REASON_PROOF_FAILED },
		{ "772\n", "Ethernet", REASON_PROOF_FAILED },
	};
	struct sysroot *sysroot = *state;

	device_of(sysroot, "e1000e", "eth0");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct record_expect expect = { .link_layer = rows[i].expected };
		char text[PLAN_TEXT_MAX];

		sysroot_text(sysroot, DEVICE "net/eth0/type", rows[i].type);
		CHECK(link_of(sysroot, &expect, text) == rows[i].reason, "row %zu: %s", i,
		      text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module_names),
		sysroot_test(test_compare),
		sysroot_test(test_broken_elf),
		sysroot_test(test_bound),
		sysroot_test(test_modules),
		sysroot_test(test_carrier),
		sysroot_test(test_ports),
		sysroot_test(test_interface_type),
	};

	return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
