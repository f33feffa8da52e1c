#include "tests/unit/support.h"

#include <endian.h>

#include "bake/disk.h"

#define DISK_BYTES (UINT64_C(3) << 20)

/* As qemu-img writes it, as far as it is read. */
static void make_footer(uint8_t out[DISK_VHD_FOOTER_BYTES], uint64_t size, uint32_t type)
{
	const uint64_t big_size = htobe64(size);
	const uint32_t big_type = htobe32(type);
	uint32_t sum = 0;

	memset(out, 0, DISK_VHD_FOOTER_BYTES);
	memcpy(out, "conectix", 8);
	memcpy(out + 48, &big_size, sizeof(big_size));
	memcpy(out + 60, &big_type, sizeof(big_type));
	for (size_t i = 0; i < DISK_VHD_FOOTER_BYTES; i++)
		sum += out[i];
	sum = htobe32(~sum);
	memcpy(out + 64, &sum, sizeof(sum));
}

static void test_vhd(void **state)
{
	static const struct {
		uint64_t said, file; /* bytes */
		uint32_t type;
		const char *text; /* NULL: it is good */
	} rows[] = {
		{ DISK_BYTES, DISK_BYTES + 512, 2, NULL },
		{ DISK_BYTES, DISK_BYTES + 512, 3, "not a VHD of fixed size" },
		{ DISK_BYTES, DISK_BYTES + 512, 4, "not a VHD of fixed size" },
		{ DISK_BYTES, DISK_BYTES, 2, "cut or put together" },
		{ DISK_BYTES, DISK_BYTES + 1024, 2, "cut or put together" },
		{ DISK_BYTES, 511, 2, "cut or put together" },
		{ UINT64_MAX, 511, 2, "cut or put together" },
	};
	uint8_t footer[DISK_VHD_FOOTER_BYTES];
	struct err err = { 0 };
	uint64_t size = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		make_footer(footer, rows[i].said, rows[i].type);
		if (rows[i].text)
			check_err(disk_vhd_size(footer, rows[i].file, &size, &err), &err,
				  ERR_INVALID, rows[i].text, rows[i].text);
		else
			check_good(disk_vhd_size(footer, rows[i].file, &size, &err), &err,
				   "good");
	}
	assert_int_equal(size, DISK_BYTES);
	make_footer(footer, DISK_BYTES, 2);
	for (size_t i = 0; i < sizeof(footer); i++) {
		footer[i] ^= 1;
		assert_int_equal(disk_vhd_size(footer, DISK_BYTES + 512, &size, &err), -1);
		footer[i] ^= 1;
	}
}

/* A raw disk stays raw, whatever its bytes look like; what is on it has to be there. */
static void test_raw(void **state)
{
	const struct folder *folder = *state;
	struct disk *disk = must_calloc(1, sizeof(*disk));
	uint8_t footer[DISK_VHD_FOOTER_BYTES];
	AUTO_CLOSE int fd = -1;
	struct err err = { 0 };

	make_footer(footer, 0, 2);
	put_file(folder->fd, "vhd", footer, sizeof(footer));
	check_good(fs_open_read(folder->fd, "vhd", &fd, &err), &err, "open");
	check_err(disk_read(fd, DISK_RAW, disk, &err), &err, ERR_INVALID,
		  "neither a partition table that fits its 512 bytes nor a file system", "raw");
	check_err(disk_read(fd, DISK_VHD, disk, &err), &err, ERR_INVALID, "the disk is empty",
		  "empty VHD");
	free(disk);
}

static void test_formats(void **state)
{
	enum disk_format format = DISK_RAW;
	struct err err = { 0 };

	(void)state;
	check_good(disk_format_parse("vhd", &format, &err), &err, "vhd");
	assert_int_equal(format, DISK_VHD);
	check_good(disk_format_parse("raw", &format, &err), &err, "raw");
	assert_int_equal(format, DISK_RAW);
	check_err(disk_format_parse("auto", &format, &err), &err, ERR_USAGE,
		  "expected raw or vhd", "auto");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vhd),
		folder_test(test_raw),
		cmocka_unit_test(test_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
