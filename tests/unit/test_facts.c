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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_digest_without_addresses),
		cmocka_unit_test(test_digest_has_borders),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
