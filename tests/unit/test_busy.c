#include "firstboot/busy.h"
#include "tests/unit/sysroot.h"

#include <sys/sysmacros.h>

#define ADDRESS "225e:00:02.0"
#define DEVICE "sys/devices/top/" ADDRESS "/"
#define ROUTES "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
#define INET6_ETH1 "fe80000000000000505400fffe123456 03 40 20 80     eth1\n"
#define INET6_ETH0 "fe80000000000000505400fffe123456 02 40 20 80     eth0\n"
#define ROUTE6(to, name)                                                                       \
	to " 40 00000000000000000000000000000000 00 00000000000000000000000000000000 "         \
	   "00000100 00000001 00000000 00000001     " name "\n"
#define ZERO "00000000000000000000000000000000"
#define MULTICAST "ff000000000000000000000000000000"
#define LOCAL_TRIE                                                                             \
	"Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.2.0\n        /24 "  \
	"link UNICAST\n"

static void put_interface(const struct sysroot *sysroot, const char *name, const char *path,
			  const char *flags)
{
	AUTO_FREE char *link = must_printf("sys/class/net/%s", name);
	AUTO_FREE char *target = must_printf("../../devices/%s/net/%s", path, name);
	AUTO_FREE char *file = must_printf("sys/devices/%s/net/%s/flags", path, name);

	sysroot_text(sysroot, file, flags);
	sysroot_link(sysroot, link, target);
}

/* A machine on which nothing needs the device, though its interface is up, and others have all that it has not. */
static void put_idle(const struct sysroot *sysroot)
{
	sysroot_device(sysroot, "pci", ADDRESS, SYSROOT_NIC, "e1000e", NULL);
	put_interface(sysroot, "eth0", "top/" ADDRESS, "0x1003\n");
	put_interface(sysroot, "eth1", "top/225e:00:02.00", "0x1003\n");
	sysroot_text(sysroot, "proc/net/route",
		     ROUTES "eth1\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n");
	sysroot_text(sysroot, "proc/net/fib_trie",
		     LOCAL_TRIE "     |-- 10.0.2.15\n        /32 host LOCAL\n");
	sysroot_text(sysroot, "proc/net/if_inet6", INET6_ETH1);
	sysroot_text(sysroot, "proc/net/ipv6_route",
		     ROUTE6(ZERO, "eth1") ROUTE6(MULTICAST, "eth0"));
	sysroot_text(sysroot, "proc/self/mountinfo",
		     "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
		     "23 22 0:20 / /proc rw - proc proc rw\n"
		     "24 22 7:0 / /snap ro - squashfs /dev/loop0 ro\n");
	sysroot_link(sysroot, "sys/dev/block/8:1", "../../devices/pci/ata/block/sda/sda1");
	sysroot_link(sysroot, "sys/dev/block/7:0", "../../devices/virtual/block/loop0");
	sysroot_text(sysroot, "sys/devices/pci/ata/block/sda/sda1/size", "1\n");
	sysroot_link(sysroot, "proc/77/fd/3", "/dev/infiniband/uverbs1");
	sysroot_link(sysroot, "proc/77/fd/4", "/dev/infiniband/rdma_cm");
	sysroot_link(sysroot, "sys/class/infiniband_verbs/uverbs1",
		     "../../devices/top/other/infiniband_verbs/uverbs1");
}

static void add_nothing(const struct sysroot *sysroot)
{
	(void)sysroot;
}

static void add_route(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "proc/net/route",
		     ROUTES "eth1\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
			    "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\n");
}

static void add_lone_address(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "proc/net/fib_trie",
		     LOCAL_TRIE "     |-- 192.168.7.1\n        /32 host LOCAL\n");
}

static void lose_routes(const struct sysroot *sysroot)
{
	assert_int_equal(unlinkat(sysroot->folder->fd, "proc/net/route", 0), 0);
}

static void add_address6(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "proc/net/if_inet6", INET6_ETH1 INET6_ETH0);
}

static void add_route6(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, "proc/net/ipv6_route", ROUTE6(ZERO, "eth0"));
}

/* A route is none while the interface is down. */
static void add_route_and_set_down(const struct sysroot *sysroot)
{
	add_route(sysroot);
	sysroot_text(sysroot, DEVICE "net/eth0/flags", "0x1002\n");
}

static void add_bond(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, DEVICE "net/eth0/flags", "0x1002\n");
	sysroot_link(sysroot, DEVICE "net/eth0/upper_bond0", "../../../virtual/net/bond0");
}

static void move_interface(const struct sysroot *sysroot)
{
	struct err err = { 0 };
	AUTO_CLOSE int net = sysroot_folder(sysroot, DEVICE "net");

	assert_int_equal(fs_remove_tree(net, "eth0", &err), 0);
}

static void add_child_interface(const struct sysroot *sysroot)
{
	put_interface(sysroot, "eth1", "top/" ADDRESS "/virtio0", "0x1003\n");
}

static void mount_disk(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, "sys/dev/block/8:1",
		     "../../devices/top/" ADDRESS "/block/vda/vda1");
}

static void mount_mapped_disk(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, "sys/dev/block/8:1", "../../devices/virtual/block/dm-0");
	sysroot_link(sysroot, "sys/devices/virtual/block/dm-0/slaves/vda1",
		     "../../../../top/vda1");
	sysroot_link(sysroot, "sys/class/block/vda1",
		     "../../devices/top/" ADDRESS "/block/vda/vda1");
}

static void mount_unknown_disk(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, "sys/dev/block/8:1", "../../devices/virtual/nvme/nvme0n1");
}

static void mount_by_name(const struct sysroot *sysroot)
{
	AUTO_CLOSE int dev = sysroot_folder(sysroot, "dev");

	if (mknodat(dev, "sdb", S_IFBLK | 0600, makedev(8, 16)) < 0)
		skip();
	sysroot_link(sysroot, "sys/dev/block/8:16", "../../devices/top/" ADDRESS "/block/sdb");
	sysroot_text(sysroot, "proc/self/mountinfo",
		     "22 1 0:35 / / rw shared:1 - btrfs /dev/sdb rw\n");
}

static void lose_mounts(const struct sysroot *sysroot)
{
	assert_int_equal(unlinkat(sysroot->folder->fd, "proc/self/mountinfo", 0), 0);
}

static void open_uverbs(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, "sys/class/infiniband_verbs/uverbs1",
		     "../../devices/top/" ADDRESS "/infiniband_verbs/uverbs1");
}

static void open_unknown(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, "proc/77/fd/5", "/dev/infiniband/uverbs9");
}

static void give_away(const struct sysroot *sysroot)
{
	sysroot_link(sysroot, DEVICE "driver", "../../../bus/pci/drivers/vfio-pci");
}

static void override(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, DEVICE "driver_override", "e1000e\n");
}

static void override_nothing(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, DEVICE "driver_override", "(null)\n");
	sysroot_text(sysroot, DEVICE "sriov_numvfs", "0\n");
}

static void make_functions(const struct sysroot *sysroot)
{
	sysroot_text(sysroot, DEVICE "sriov_numvfs", "4\n");
}

static void lose_device(const struct sysroot *sysroot)
{
	assert_int_equal(unlinkat(sysroot->folder->fd, "sys/bus/pci/devices/" ADDRESS, 0), 0);
}

static const struct {
	void (*change)(const struct sysroot *sysroot);
	const char *text; /* NULL: not needed */
} rows[] = {
	{ add_nothing, NULL },
	{ override_nothing, NULL },
	{ add_route_and_set_down, NULL },
	{ add_route, "eth0 is up and has a route or an address" },
	{ add_lone_address, "eth0 is up, and may have the address 192.168.7.1" },
	{ lose_routes, "/proc/net/route cannot be read" },
	{ add_address6, "eth0 is up and has an IPv6 address" },
	{ add_route6, "eth0 is up and has an IPv6 route" },
	{ add_bond, "eth0 is part of bond0" },
	{ move_interface, "its network interface is in another namespace" },
	{ add_child_interface, "eth1 is up and has a route or an address" },
	{ mount_disk, "it carries vda1, which is mounted" },
	{ mount_mapped_disk, "it carries vda1, which is mounted" },
	{ mount_by_name, "it carries sdb, which is mounted" },
	{ mount_unknown_disk, "nvme0n1 is mounted, and what carries it is not known" },
	{ lose_mounts, "/proc/self/mountinfo cannot be read" },
	{ open_uverbs, "process 77 has /dev/infiniband/uverbs1 open" },
	{ open_unknown, "process 77 has /dev/infiniband/uverbs9 open" },
	{ give_away, "somebody bound it to vfio-pci" },
	{ override, "its driver_override is set" },
	{ make_functions, "it has 4 virtual functions" },
	{ lose_device, "it is not found in /sys" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sysroot *sysroot;
		char text[BUSY_TEXT_MAX];
		bool busy;

		sysroot_make((void **)&sysroot);
		put_idle(sysroot);
		rows[i].change(sysroot);
		busy = busy_device(&sysroot->machine, "pci", ADDRESS, text);
		CHECK(busy == (rows[i].text != NULL), "row %zu: %s", i, text);
		CHECK(strcmp(text, rows[i].text ? rows[i].text : "") == 0, "row %zu: %s", i,
		      text);
		sysroot_drop((void **)&sysroot);
	}
}

/* A part of a device is needed where the device is. */
static void test_auxiliary(void **state)
{
	struct sysroot *sysroot = *state;
	char text[BUSY_TEXT_MAX];

	put_idle(sysroot);
	add_route(sysroot);
	sysroot_text(sysroot, DEVICE "mlx5_core.rdma.0/modalias", "auxiliary:x\n");
	sysroot_link(sysroot, "sys/bus/auxiliary/devices/mlx5_core.rdma.0",
		     "../../../devices/top/" ADDRESS "/mlx5_core.rdma.0");
	assert_true(busy_device(&sysroot->machine, "auxiliary", "mlx5_core.rdma.0", text));
	assert_string_equal(text, "eth0 is up and has a route or an address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		sysroot_test(test_auxiliary),
	};

	return cmocka_run_group_tests_name("busy", tests, NULL, NULL);
}
