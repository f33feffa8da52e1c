#include "tests/unit/support.h"

#include "cache/facts.h"

#define CX5 "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc07i00"
#define DISK "pci:v00001414d00005353sv00000000sd00000000bc01sc06i01"

static void test_network(void **state)
{
	static const struct {
		const char *bus, *modalias;
		bool network;
	} rows[] = {
		{ "pci", CX5, true },
		{ "pci", "pci:v000015B3d0000101Asv000015B3sd00000127bc02sc00i00", true },
		{ "pci", DISK, false },
		{ "pci", "pci:v0000BC02d0000BC02sv0000BC02sd0000BC02bc03sc00i00", false },
		{ "pci", "", false },
		{ "virtio", "virtio:d00000001v00001AF4", true },
		{ "virtio", "virtio:d00000002v00001AF4", false },
		{ "virtio", "virtio:d00000010v00001AF4", false },
		{ "vmbus", "vmbus:635161f83edfc546913ff2d2f965ed0e", true },
		{ "vmbus", "vmbus:d96361baa104294db60572e2ffb1dc7f", false },
		{ "vmbus", "", false },
		{ "usb", CX5, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct facts_device device = { 0 };

		strcpy(device.bus, rows[i].bus);
		strcpy(device.modalias, rows[i].modalias);
		CHECK(facts_device_is_network(&device) == rows[i].network, "row %zu", i);
	}
}

static struct facts machine(struct facts_device devices[2])
{
	struct facts facts = { .family = "linux",
			       .os_id = "ubuntu",
			       .os_version = "22.04",
			       .arch = "x86_64",
			       .kernel = "5.15.0-1050-azure",
			       .vm_size = "Standard_HB120rs_v3",
			       .device = devices,
			       .device_count = 2 };

	memset(devices, 0, 2 * sizeof(*devices));
	strcpy(devices[0].bus, "pci");
	strcpy(devices[0].address, "0101:00:02.0");
	strcpy(devices[0].modalias, CX5);
	strcpy(devices[1].bus, "pci");
	strcpy(devices[1].address, "225e:00:02.0");
	strcpy(devices[1].modalias, DISK);
	return facts;
}

/* Each field that a plan depends on changes the digest; a bound driver does not. */
static void test_digest(void **state)
{
	struct facts_device devices[2];
	struct facts facts = machine(devices);
	char *const fields[] = { facts.family, facts.os_id,   facts.os_version,	  facts.arch,
				 facts.kernel, facts.vm_size, devices[0].modalias };
	struct digest good, other;

	(void)state;
	facts_digest(&facts, &good);
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		fields[i][0] ^= 1;
		facts_digest(&facts, &other);
		CHECK(!digest_equal(&good, &other), "field %zu", i);
		fields[i][0] ^= 1;
	}
	strcpy(devices[0].driver, "mlx5_core");
	strcpy(devices[0].interface, "ib0");
	facts_digest(&facts, &other);
	assert_true(digest_equal(&good, &other));
	facts.device_count = 1;
	facts_digest(&facts, &other);
	assert_false(digest_equal(&good, &other));
}

/* PCI domains on Hyper-V are random words: other addresses, and so another order of the devices, are
 * the same machine. */
static void test_digest_without_addresses(void **state)
{
	struct facts_device devices[2], first;
	struct facts facts = machine(devices);
	struct digest good, other;

	(void)state;
	facts_digest(&facts, &good);
	strcpy(devices[0].address, "fa11:00:02.0");
	first = devices[0];
	devices[0] = devices[1];
	devices[1] = first;
	facts_digest(&facts, &other);
	assert_true(digest_equal(&good, &other));
	devices[0] = first; /* but two of one kind are not one of each */
	facts_digest(&facts, &other);
	assert_false(digest_equal(&good, &other));
}

/* Text that moves from one field to the next is another machine. */
static void test_digest_has_borders(void **state)
{
	struct facts one = { .os_id = "ab", .os_version = "c" };
	struct facts two = { .os_id = "a", .os_version = "bc" };
	struct digest first, second;

	(void)state;
	facts_digest(&one, &first);
	facts_digest(&two, &second);
	assert_false(digest_equal(&first, &second));
}

static void test_json(void **state)
{
	struct facts_device devices[2];
	struct facts facts = machine(devices);
	AUTO_JSON json_t *root = facts_json(&facts);
	const json_t *list = json_object_get(root, "devices");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(root, "format")),
			    "larder.facts.v1");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "modalias")), CX5);
}

/* What is printed is read again, whole; and what is not so is refused with the member. */
static void test_replay(void **state)
{
	static char kernels[2][FACTS_TEXT_MAX] = { "5.15.0-1050-azure", "6.8.0-1" };
	struct facts_device devices[2];
	struct facts facts = machine(devices);
	AUTO_FACTS struct facts again = { 0 };
	AUTO_JSON json_t *root = NULL, *other = NULL;
	AUTO_FREE char *text = NULL, *text_again = NULL;
	struct err err = { 0 };
	size_t size;

	(void)state;
	facts.kernels = kernels;
	facts.kernel_count = 2;
	facts.secure_boot = FACTS_SECURE_BOOT_ON;
	facts.azure = true;
	strcpy(facts.os_like, "rhel fedora");
	strcpy(devices[0].link_layer, "InfiniBand");
	root = facts_json(&facts);
	text = json_text(root, &size);
	check_good(facts_parse(text, size, &again, &err), &err, "parse");
	other = facts_json(&again);
	text_again = json_text(other, &size);
	assert_string_equal(text, text_again);
}

static void test_by_hand(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "{'format':'larder.facts.v1','family':'linux'}", NULL },
		{ "{'format':'larder.facts.v1','family':'linux','os_id':'rocky','kernel':'5.14."
		  "0',"
		  "'devices':[{'bus':'pci','modalias':'" CX5 "'}]}",
		  NULL },
		{ "{'format':'larder.facts.v2','family':'linux'}", "format: expected" },
		{ "{'format':'larder.facts.v1'}", "family: missing" },
		{ "{'format':'larder.facts.v1','family':'linux','os':'x'}", "os: " },
		{ "{'format':'larder.facts.v1','family':'linux','kernel':'../x'}",
		  "kernel: expected" },
		{ "{'format':'larder.facts.v1','family':'linux','arch':3}",
		  "arch: expected a text" },
		{ "{'format':'larder.facts.v1','family':'a family of far too many letters'}",
		  "family: expected a text of at most 15 bytes" },
		{ "{'format':'larder.facts.v1','family':'linux','secure_boot':'yes'}",
		  "secure_boot: expected" },
		{ "{'format':'larder.facts.v1','family':'linux','kernels':['a','a']}",
		  "kernels: " },
		{ "{'format':'larder.facts.v1','family':'linux','devices':[{'bus':'pci'}]}",
		  "devices[0]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *text = with_quotes(rows[i].text);
		AUTO_FACTS struct facts facts = { 0 };
		struct err err = { 0 };
		int result = facts_parse(text, strlen(text), &facts, &err);

		CHECK((result == 0) == (rows[i].error == NULL), "row %zu: %s", i, err.text);
		CHECK(!rows[i].error || strstr(err.text, rows[i].error), "row %zu: %s", i,
		      err.text);
	}
}

/* They are from another machine, and go to a terminal. */
static void test_texts_that_steer(void **state)
{
	static const char text[] = "{\"format\":\"larder.facts.v1\",\"family\":\"linux\",\"vm_"
				   "size\":\"a\\u009b2Jb\","
				   "\"devices\":[{\"bus\":\"pci\",\"modalias\":\"pci:x\","
				   "\"driver\":\"\\u202eevil\"}]}";
	AUTO_FACTS struct facts facts = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(facts_parse(text, sizeof(text) - 1, &facts, &err), &err, "parse");
	assert_string_equal(facts.vm_size, "a??2Jb");
	assert_string_equal(facts.device[0].driver, "???evil");
}

static void test_class_and_likeness(void **state)
{
	struct facts_device device = { .bus = "pci", .modalias = CX5 };
	struct facts facts = { .os_id = "rocky", .os_like = "rhel centos  fedora" };
	char class[5];

	(void)state;
	facts_device_class(&device, class);
	assert_string_equal(class, "0207");
	strcpy(device.modalias, "pci:v000015B3bc");
	facts_device_class(&device, class);
	assert_string_equal(class, "");
	strcpy(device.modalias, "PCI\\VEN_15B3&DEV_101A&CC_0207");
	facts_device_class(&device, class);
	assert_string_equal(class, "0207");
	assert_true(facts_is_like(&facts, "rhel") && facts_is_like(&facts, "fedora"));
	assert_false(facts_is_like(&facts, "rocky") || facts_is_like(&facts, "rhe") ||
		     facts_is_like(&facts, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_digest_without_addresses),
		cmocka_unit_test(test_digest_has_borders),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_class_and_likeness),
		cmocka_unit_test(test_texts_that_steer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
