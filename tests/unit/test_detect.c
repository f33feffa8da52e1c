#include "firstboot/detect.h"
#include "firstboot/kvp.h"
#include "tests/unit/sysroot.h"

static const struct facts_device *find(const struct facts *facts, const char *address)
{
	for (size_t i = 0; i < facts->device_count; i++) {
		if (strcmp(facts->device[i].address, address) == 0)
			return &facts->device[i];
	}
	fail_msg("%s not found", address);
	return NULL;
}

#define CX5_VF "pci:v000015B3d00001018sv000015B3sd00000003bc02sc07i00"
#define AN_VF "pci:v000015B3d00001016sv000015B3sd000000C2bc02sc00i00"
#define NETVSC "vmbus:635161f83edfc546913ff2d2f965ed0e"

/* An HPC VM: InfiniBand and Accelerated Networking side by side, random PCI domains, VMBus, virtio. */
static void fill(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
	sysroot_text(sysroot, "proc/sys/kernel/osrelease", "6.1.0-1-cloud-amd64\n");
	sysroot_text(sysroot, "proc/sys/kernel/arch", "x86_64\n");
	sysroot_device(sysroot, "pci", "a5e1:00:02.0", CX5_VF, NULL, NULL);
	sysroot_device(sysroot, "pci", "225e:00:02.0", AN_VF, "mlx5_core", "enP8798s1");
	sysroot_device(sysroot, "pci", "0000:00:00.0",
		       "pci:v00008086d00007192sv00000000sd00000000bc06sc00i00", NULL, NULL);
	sysroot_device(sysroot, "vmbus", "000d3a6c-0001", NETVSC, "hv_netvsc", "eth0");
	sysroot_device(sysroot, "virtio", "virtio2", "virtio:d00000001v00001AF4", NULL, NULL);
	sysroot_device(sysroot, "usb", "1-1:1.0",
		       "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00", "r8152", "usb0");
}

static void test_devices(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_FACTS struct facts facts = { 0 };
	struct err err = { 0 };
	char *longer = must_printf("%0*d", FACTS_MODALIAS_MAX, 0);

	fill(sysroot);
	sysroot_device(sysroot, "pci", "0000:00:09.0", longer, NULL, NULL);
	sysroot_device(sysroot, "pci", "0000:00:0a.0", "", NULL, NULL);
	sysroot_link(sysroot, "sys/bus/pci/devices/gone", "../../../devices/top/gone");
	free(longer);
	assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), 0);
	assert_string_equal(facts.os_id, "debian");
	assert_string_equal(facts.kernel, "6.1.0-1-cloud-amd64");
	assert_string_equal(facts.arch, "x86_64");
	assert_int_equal(facts.device_count, 6);
	assert_string_equal(facts.device[0].address, "0000:00:00.0");
	assert_string_equal(find(&facts, "a5e1:00:02.0")->driver, "");
	assert_string_equal(find(&facts, "a5e1:00:02.0")->modalias, CX5_VF);
	assert_string_equal(find(&facts, "225e:00:02.0")->driver, "mlx5_core");
	assert_string_equal(find(&facts, "225e:00:02.0")->interface, "enP8798s1");
	assert_string_equal(find(&facts, "000d3a6c-0001")->bus, "vmbus");
	assert_true(facts_device_is_network(find(&facts, "000d3a6c-0001")));
	assert_true(facts_device_is_network(find(&facts, "virtio2")));
	assert_false(facts_device_is_network(find(&facts, "0000:00:00.0")));
}

/* Binding a driver is no new machine; another device is. */
static void test_digest(void **state)
{
	struct sysroot *sysroot = *state;
	struct digest first, bound, other;
	AUTO_FACTS struct facts facts = { 0 };
	struct err err = { 0 };

	fill(sysroot);
	assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), 0);
	facts_digest(&facts, &first);
	facts_free(&facts);
	sysroot_device(sysroot, "pci", "a5e1:00:02.0", CX5_VF, "mlx5_core", "ib0");
	assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), 0);
	facts_digest(&facts, &bound);
	facts_free(&facts);
	sysroot_device(sysroot, "pci", "b001:00:02.0", CX5_VF, NULL, NULL);
	assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), 0);
	facts_digest(&facts, &other);
	assert_true(digest_equal(&first, &bound));
	assert_false(digest_equal(&first, &other));
}

/* Kernels that are installed, Secure Boot, lockdown, and what this machine is. */
static void test_more(void **state)
{
	static const char secure[] = { 6, 0, 0, 0, 1 };
	struct sysroot *sysroot = *state;
	AUTO_FACTS struct facts before = { 0 }, facts = { 0 };
	AUTO_CLOSE int efivars = -1, kernels = -1, security = -1, dmi = -1, half = -1;
	AUTO_CLOSE int firmware = -1;
	struct err err = { 0 };

	fill(sysroot);
	check_good(detect_facts(&sysroot->machine, &before, &err), &err, "without");
	assert_int_equal(before.secure_boot, FACTS_SECURE_BOOT_UNKNOWN);
	firmware = sysroot_folder(sysroot, "sys/firmware");
	check_good(detect_facts(&sysroot->machine, &facts, &err), &err, "no EFI");
	assert_int_equal(facts.secure_boot, FACTS_SECURE_BOOT_OFF);
	facts_free(&facts);
	assert_false(before.azure || before.hyperv || before.sig_enforce);
	efivars = sysroot_folder(sysroot, "sys/firmware/efi/efivars");
	check_good(detect_facts(&sysroot->machine, &facts, &err), &err, "no variable");
	assert_int_equal(facts.secure_boot, FACTS_SECURE_BOOT_UNKNOWN);
	facts_free(&facts);
	put_file(efivars, "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure,
		 sizeof(secure));
	kernels = sysroot_folder(sysroot, "lib/modules/6.1.0-9-amd64");
	put_file(kernels, "modules.order", "", 0);
	half = sysroot_folder(sysroot, "lib/modules/6.1.0-10-amd64");
	security = sysroot_folder(sysroot, "sys/kernel/security");
	put_file(security, "lockdown", "none [integrity] confidentiality\n", 33);
	dmi = sysroot_folder(sysroot, "sys/class/dmi/id");
	put_file(dmi, "sys_vendor", "Microsoft Corporation\n", 22);
	put_file(dmi, "product_name", "Virtual Machine\n", 16);
	put_file(dmi, "chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n", 33);
	check_good(detect_facts(&sysroot->machine, &facts, &err), &err, "with");
	assert_int_equal(facts.secure_boot, FACTS_SECURE_BOOT_ON);
	assert_string_equal(facts.lockdown, "integrity");
	assert_true(facts.azure && facts.hyperv);
	assert_int_equal(facts.kernel_count, before.kernel_count + 1);
	assert_string_equal(facts.kernels[facts.kernel_count - 1], "6.1.0-9-amd64");
}

/* What a bound RDMA driver says of its port, and who uses its module. */
static void test_bound(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_FACTS struct facts facts = { 0 };
	AUTO_CLOSE int port = -1, module = -1, holder = -1, driver = -1;
	struct err err = { 0 };

	fill(sysroot);
	sysroot_device(sysroot, "pci", "a5e1:00:02.0", CX5_VF, "mlx5_core", "ib0");
	port = sysroot_folder(sysroot,
			      "sys/bus/pci/devices/a5e1:00:02.0/infiniband/mlx5_0/ports/1");
	put_file(port, "link_layer", "InfiniBand\n", 11);
	driver = sysroot_folder(sysroot, "sys/bus/pci/drivers/mlx5_core");
	sysroot_link(sysroot, "sys/bus/pci/drivers/mlx5_core/module",
		     "../../../../module/mlx5_core");
	module = sysroot_folder(sysroot, "sys/module/mlx5_core");
	put_file(module, "srcversion", "ABC123\n", 7);
	holder = sysroot_folder(sysroot, "sys/module/mlx5_core/holders/mlx5_ib");
	check_good(detect_facts(&sysroot->machine, &facts, &err), &err, "bound");
	assert_string_equal(find(&facts, "a5e1:00:02.0")->link_layer, "InfiniBand");
	assert_string_equal(find(&facts, "a5e1:00:02.0")->srcversion, "ABC123");
	assert_string_equal(find(&facts, "a5e1:00:02.0")->dependents, "mlx5_ib");
	assert_string_equal(find(&facts, "000d3a6c-0001")->link_layer, "");
}

/* The host's wish for a Network Direct driver is shown, and nothing depends on it. */
static void test_kvp(void **state)
{
	static char pool[2 * (KVP_KEY_BYTES + KVP_VALUE_BYTES)];
	struct sysroot *sysroot = *state;
	AUTO_FACTS struct facts before = { 0 }, facts = { 0 }, cut = { 0 };
	AUTO_CLOSE int folder = sysroot_folder(sysroot, "var/lib/hyperv");
	struct digest without, with;
	struct err err = { 0 };

	fill(sysroot);
	check_good(detect_facts(&sysroot->machine, &before, &err), &err, "no pool");
	assert_string_equal(before.nd_version, "");
	strcpy(pool, "HostName");
	strcpy(pool + KVP_KEY_BYTES + KVP_VALUE_BYTES, "NdDriverVersion");
	strcpy(pool + 2 * KVP_KEY_BYTES + KVP_VALUE_BYTES, "144.0");
	put_file(folder, ".kvp_pool_0", pool, sizeof(pool));
	check_good(detect_facts(&sysroot->machine, &facts, &err), &err, "pool");
	assert_string_equal(facts.nd_version, "144.0");
	facts_digest(&before, &without);
	facts_digest(&facts, &with);
	assert_true(digest_equal(&without, &with));
	put_file(folder, ".kvp_pool_0", pool, sizeof(pool) - 1);
	check_good(detect_facts(&sysroot->machine, &cut, &err), &err, "cut pool");
	assert_string_equal(cut.nd_version, "");
}

static void test_hostile(void **state)
{
	static const char *const kernels[] = { "../../../etc", "a b", "-b", "6.1/x" };
	struct sysroot *sysroot = *state;
	struct facts facts = { 0 };
	struct err err = { 0 };

	fill(sysroot);
	for (size_t i = 0; i < COUNT_OF(kernels); i++) {
		sysroot_text(sysroot, "proc/sys/kernel/osrelease", kernels[i]);
		assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), -1);
		assert_int_equal(err.kind, ERR_INVALID);
	}
}

/* A link in etc leads nowhere outside; usr/lib/os-release is the standard's second place. */
static void test_os_release_places(void **state)
{
	struct sysroot *sysroot = *state;
	AUTO_FACTS struct facts facts = { 0 };
	struct err err = { 0 };

	sysroot_text(sysroot, "usr/lib/os-release", "ID=inside\n");
	sysroot_link(sysroot, "etc/os-release", "/etc/os-release");
	assert_int_equal(detect_facts(&sysroot->machine, &facts, &err), 0);
	assert_string_equal(facts.os_id, "inside");
	assert_int_equal(facts.device_count, 0);
}

static void test_refresh(void **state)
{
	struct sysroot *sysroot = *state;
	struct facts_device device = { .bus = "pci", .address = "225e:00:02.0" };

	sysroot_device(sysroot, "pci", device.address, AN_VF, NULL, NULL);
	detect_refresh(&sysroot->machine, &device);
	assert_string_equal(device.driver, "");
	sysroot_device(sysroot, "pci", device.address, AN_VF, "mlx5_core", "eth1");
	detect_refresh(&sysroot->machine, &device);
	assert_string_equal(device.driver, "mlx5_core");
	assert_string_equal(device.interface, "eth1");
	sysroot_link(sysroot, "sys/bus/pci/devices/225e:00:02.0", "nowhere");
	detect_refresh(&sysroot->machine, &device);
	assert_string_equal(device.driver, "");
	assert_string_equal(device.interface, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		sysroot_test(test_devices),
		sysroot_test(test_digest),
		sysroot_test(test_kvp),
		sysroot_test(test_more),
		sysroot_test(test_bound),
		sysroot_test(test_hostile),
		sysroot_test(test_os_release_places),
		sysroot_test(test_refresh),
	};

	return cmocka_run_group_tests_name("detect", tests, NULL, NULL);
}
