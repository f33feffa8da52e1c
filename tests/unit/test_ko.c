#include "tests/unit/made_ko.h"

#include <lzma.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <zlib.h>

#include "cache/codec.h"

static const struct made_ko nic = {
	.info = "license=GPL|alias=pci:a|alias=pci:b|depends=mlxfw,ib-core|srcversion=ABC|name="
		"nic|"
		"vermagic=" MADE_VERMAGIC,
	.need = { { "printk", 0x11111111 }, { "kfree", 0x22222222 }, { KO_MODULE_LAYOUT, 7 } },
	.export = { { "nic_start", 0xaabbccdd }, { "nic_stop", 0x01020304 } },
	.weak = "maybe",
};

static void check_need(const struct ko *ko, const char *name, uint32_t crc)
{
	const struct ko_symbol *need = ko_find(ko->need, ko->need_count, name);

	CHECK(need && need->has_crc && need->crc == crc && !need->weak, "%s", name);
}

static void check_nic(const struct ko *ko)
{
	const struct ko_symbol *stop = ko_find(ko->export, ko->export_count, "nic_stop");
	const struct ko_symbol *weak = ko_find(ko->need, ko->need_count, "maybe");

	assert_string_equal(ko->name, "nic");
	assert_string_equal(ko->vermagic, MADE_VERMAGIC);
	assert_string_equal(ko->depends, "mlxfw,ib-core");
	assert_string_equal(ko->srcversion, "ABC");
	assert_int_equal(ko->alias_count, 2);
	assert_int_equal(ko->machine, EM_X86_64);
	assert_int_equal(ko->build_id_size, 4);
	assert_memory_equal(ko->build_id, "\xde\xad\xbe\xef", 4);
	assert_int_equal(ko->need_count, 4);
	assert_true(weak && weak->weak && !weak->has_crc);
	assert_int_equal(ko->export_count, 2);
	assert_true(stop && stop->has_crc && stop->crc == 0x01020304);
}

static void test_reads(void **state)
{
	struct made_bytes bytes;

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct made_ko made = nic;
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		made.long_versions = i & 1;
		made.absolute = i & 2;
		made.no_versions = (i & 4) != 0 && !made.long_versions;
		made_ko(&made, &bytes);
		check_good(ko_parse(bytes.data, bytes.size, &ko, &err), &err, "parse");
		assert_int_equal(ko.has_versions, !made.no_versions);
		assert_int_equal(ko.signature, KO_UNSIGNED);
		if (made.no_versions) {
			assert_int_equal(ko.need_count, 3);
			assert_false(ko.need[0].has_crc);
			continue;
		}
		check_nic(&ko);
		check_need(&ko, "printk", 0x11111111);
		check_need(&ko, "kfree", 0x22222222);
		check_need(&ko, KO_MODULE_LAYOUT, 7);
	}
}

/* Cut anywhere, it is refused with a text, or it is whole but for what nobody asks. */
static void test_cut(void **state)
{
	struct made_bytes *bytes = must_calloc(1, sizeof(*bytes));

	(void)state;
	made_ko(&nic, bytes);
	for (size_t size = 0; size < bytes->size; size++) {
		AUTO_FREE char *copy = must_calloc(size, 1);
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		memcpy(copy, bytes->data, size);
		CHECK(ko_parse(copy, size, &ko, &err) == -1 && err.kind == ERR_INVALID, "%zu",
		      size);
		CHECK(err.text[0] && !ko.need && !ko.export, "%zu", size);
	}
	free(bytes);
}

/* Each byte turned over: an answer, and never a read outside (make sanitize sees it). */
static void test_flipped(void **state)
{
	struct made_bytes *bytes = must_calloc(1, sizeof(*bytes));

	(void)state;
	made_ko(&nic, bytes);
	for (size_t at = 0; at < bytes->size; at++) {
		AUTO_FREE char *copy = must_calloc(bytes->size, 1);
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		memcpy(copy, bytes->data, bytes->size);
		copy[at] = (char)~copy[at];
		if (ko_parse(copy, bytes->size, &ko, &err) < 0)
			CHECK(err.kind == ERR_INVALID && err.text[0], "%zu", at);
	}
	free(bytes);
}

static const struct {
	const char *row, *text;
	struct made_ko made;
} bad[] = {
	{ "control", "vermagic in .modinfo", { .info = "vermagic=\x1b[2J" } },
	{ "long name",
	  "name in .modinfo",
	  { .info = "name="
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "a" } },
	{ "version without a name", "without a name", { .need = { { "\x01", 1 } } } },
	{ "name with a space", "__versions has", { .need = { { "a b", 1 } } } },
	{ "long version without a name",
	  "fewer names",
	  { .long_versions = true, .need = { { "\x01", 1 } } } },
	{ "weak without a name", "symbol's name", { .weak = "a b" } },
};

static void test_refused(void **state)
{
	struct made_bytes bytes;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		made_ko(&bad[i].made, &bytes);
		check_err(ko_parse(bytes.data, bytes.size, &ko, &err), &err, ERR_INVALID,
			  bad[i].text, bad[i].row);
	}
}

static void test_no_module(void **state)
{
	static const struct {
		size_t at;
		char byte;
		const char *text;
	} rows[] = {
		{ EI_CLASS, ELFCLASS32, "ELF" },
		{ EI_DATA, ELFDATA2MSB, "ELF" },
		{ 16, ET_EXEC, "relocatable" },
		{ 0, 'x', "no ELF" },
	};
	struct made_bytes bytes;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		made_ko(&nic, &bytes);
		bytes.data[rows[i].at] = rows[i].byte;
		check_err(ko_parse(bytes.data, bytes.size, &ko, &err), &err, ERR_INVALID,
			  rows[i].text, "row");
	}
}

/* The last name of the table of names ends outside of it, in the next section. */
static void test_name_without_end(void **state)
{
	struct made_bytes bytes;
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };
	Elf64_Ehdr head;
	Elf64_Shdr names;
	size_t at;

	(void)state;
	made_ko(&nic, &bytes);
	memcpy(&head, bytes.data, sizeof(head));
	at = head.e_shoff + MADE_STRTAB * sizeof(names);
	memcpy(&names, bytes.data + at, sizeof(names));
	names.sh_size--;
	memcpy(bytes.data + at, &names, sizeof(names));
	check_err(ko_parse(bytes.data, bytes.size, &ko, &err), &err, ERR_INVALID,
		  "names of its symbols do not end", "cut names");
}

#define MANY ((size_t)1 << 20)
#define LONG ((size_t)32 << 20)

/* The module with a part of another content, which stands at its end. *size is the module's before and after. The
 * caller frees. */
static char *with_part(const char *module, size_t *size, size_t part, const void *data,
		       size_t data_size)
{
	char *image = must_calloc(*size + data_size, 1);
	Elf64_Ehdr head;
	Elf64_Shdr section;
	size_t at;

	memcpy(image, module, *size);
	memcpy(image + *size, data, data_size);
	memcpy(&head, image, sizeof(head));
	at = head.e_shoff + part * sizeof(section);
	memcpy(&section, image + at, sizeof(section));
	section.sh_offset = *size;
	section.sh_size = data_size;
	memcpy(image + at, &section, sizeof(section));
	*size += data_size;
	return image;
}

/* A million symbols with one name of 32 MB: the time is not their product. The watchdog ends what takes hours. */
static void test_one_long_name_for_many(void **state)
{
	static const Elf64_Sym rows[] = { { .st_name = 1 },
					  { .st_name = 1, .st_shndx = SHN_ABS } };
	AUTO_FREE char *names = must_calloc(LONG, 1);
	AUTO_FREE Elf64_Sym *symbols = must_calloc(MANY, sizeof(*symbols));

	(void)state;
	memset(names + 1, 'a', LONG - 2);
	memcpy(names + 1, "__crc_", 6);
	alarm(60);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *named = NULL, *image = NULL;
		struct made_bytes bytes;
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };
		size_t size;

		for (size_t j = 0; j < MANY; j++)
			symbols[j] = rows[i];
		made_ko(&nic, &bytes);
		size = bytes.size;
		named = with_part(bytes.data, &size, MADE_STRTAB, names, LONG);
		image = with_part(named, &size, MADE_SYMTAB, symbols, MANY * sizeof(*symbols));
		check_good(ko_parse(image, size, &ko, &err), &err, "many");
		assert_int_equal(ko.export_count, 0);
	}
	alarm(0);
}

/* The same with names of sections: libelf looks for an end from behind, for each section anew. */
static void test_sections_without_end(void **state)
{
	static const char names[] = "\0.modinfo\0.symtab\0aaaa";
	AUTO_FREE char *image = NULL;
	struct made_bytes bytes;
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };
	size_t size;

	(void)state;
	made_ko(&nic, &bytes);
	size = bytes.size;
	image = with_part(bytes.data, &size, MADE_SHSTRTAB, names, sizeof(names) - 1);
	check_err(ko_parse(image, size, &ko, &err), &err, ERR_INVALID,
		  "names of its sections do not end", "sections");
}

static EVP_PKEY *make_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(key);
	return key;
}

static X509 *make_cert(EVP_PKEY *key, long serial)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"Our key",
				   -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

/* As the kernel's scripts/sign-file does it. */
static size_t sign(const struct made_bytes *bytes, unsigned char **out)
{
	const unsigned flags =
		CMS_NOCERTS | CMS_BINARY | CMS_DETACHED | CMS_NOSMIMECAP | CMS_NOATTR;
	EVP_PKEY *key = make_key();
	X509 *cert = make_cert(key, 0x1234);
	BIO *input = BIO_new_mem_buf(bytes->data, (int)bytes->size);
	CMS_ContentInfo *cms = CMS_sign(cert, key, NULL, input, flags);
	int size;

	assert_non_null(cms);
	*out = NULL;
	size = i2d_CMS_ContentInfo(cms, out);
	assert_true(size > 0);
	CMS_ContentInfo_free(cms);
	BIO_free(input);
	X509_free(cert);
	EVP_PKEY_free(key);
	return (size_t)size;
}

static void test_signed(void **state)
{
	struct made_bytes bytes;
	unsigned char *signature;
	size_t size, bare;
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };

	(void)state;
	made_ko(&nic, &bytes);
	bare = bytes.size;
	size = sign(&bytes, &signature);
	made_trailer(&bytes, signature, size, (uint32_t)size, 2);
	check_good(ko_parse(bytes.data, bytes.size, &ko, &err), &err, "signed");
	check_nic(&ko);
	assert_int_equal(ko.signature, KO_SIGNED);
	assert_int_equal(ko.signature_size, size);
	assert_string_equal(ko.signer.name, "Our key");
	assert_string_equal(ko.signer.id, "1234");
	for (size_t cut = 0; cut < size; cut++) {
		struct ko odd = { 0 };

		bytes.size = bare;
		made_trailer(&bytes, signature, cut, (uint32_t)cut, 2);
		check_good(ko_parse(bytes.data, bytes.size, &odd, &err), &err, "cut");
		CHECK(odd.signature == KO_SIGNED_ODDLY, "%zu", cut);
		ko_free(&odd);
	}
	OPENSSL_free(signature);
}

static void test_trailers(void **state)
{
	static const struct {
		uint32_t said;
		uint8_t kind;
		int result;
	} rows[] = {
		{ 4, 2, 0 },	       { 4, 1, 0 },	   { 4, 0, 0 },
		{ 0, 2, 0 }, /* nothing behind the ELF file but the trailer */
		{ UINT32_MAX, 2, -1 }, { 1 << 20, 2, -1 },
	};
	struct made_bytes bytes;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_KO struct ko ko = { 0 };
		struct err err = { 0 };

		made_ko(&nic, &bytes);
		made_trailer(&bytes, "abcd", 4, rows[i].said, rows[i].kind);
		CHECK(ko_parse(bytes.data, bytes.size, &ko, &err) == rows[i].result, "row %zu",
		      i);
		if (rows[i].result == 0)
			CHECK(ko.signature == KO_SIGNED_ODDLY && ko.need_count == 4, "row %zu",
			      i);
	}
}

static void test_packed(void **state)
{
	static const uint8_t empty_gzip[20] = { 0x1f, 0x8b, 8, [9] = 3, 3 };
	struct made_bytes bytes;
	AUTO_FREE char *image = NULL;
	AUTO_FREE void *packed = NULL;
	unsigned char zipped[4096];
	z_stream stream = { .next_out = zipped, .avail_out = sizeof(zipped) };
	struct err err = { 0 };
	size_t size, packed_size;

	(void)state;
	made_ko(&nic, &bytes);
	assert_int_equal(ko_packing_of(bytes.data, bytes.size), KO_PLAIN);
	check_good(codec_pack(bytes.data, bytes.size, 3, &packed, &packed_size, &err), &err,
		   "zstd");
	assert_int_equal(ko_packing_of(packed, packed_size), KO_ZSTD);
	check_good(ko_unpack(packed, packed_size, &image, &size, &err), &err, "zstd");
	assert_int_equal(size, bytes.size);
	assert_memory_equal(image, bytes.data, size);
	free(take_ptr(&image));
	check_err(ko_unpack(packed, packed_size - 1, &image, &size, &err), &err, ERR_INVALID,
		  "zstd", "cut");

	assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
	stream.next_in = (Bytef *)bytes.data;
	stream.avail_in = (uInt)bytes.size;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	deflateEnd(&stream);
	check_good(ko_unpack(zipped, stream.total_out, &image, &size, &err), &err, "gzip");
	assert_int_equal(size, bytes.size);
	assert_memory_equal(image, bytes.data, size);
	free(take_ptr(&image));
	for (size_t cut = 2; cut < stream.total_out; cut++)
		check_err(ko_unpack(zipped, cut, &image, &size, &err), &err, ERR_INVALID,
			  "gzip", "cut");
	check_good(ko_unpack(empty_gzip, sizeof(empty_gzip), &image, &size, &err), &err,
		   "empty");
	assert_int_equal(size, 0);
	free(take_ptr(&image));
	check_err(ko_unpack("ELF", 3, &image, &size, &err), &err, ERR_INVALID, "not packed",
		  "plain");
}

/* xz, with a dictionary of so many bytes. */
static size_t pack_xz(const void *data, size_t size, uint32_t dictionary, uint8_t *out,
		      size_t room)
{
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	size_t used = 0;

	assert_false(lzma_lzma_preset(&options, 1));
	options.dict_size = dictionary;
	assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, data, size,
						   out, &used, room),
			 LZMA_OK);
	return used;
}

static void test_xz(void **state)
{
	struct made_bytes bytes;
	AUTO_FREE char *image = NULL;
	uint8_t packed[8192];
	struct err err = { 0 };
	size_t size, packed_size;

	(void)state;
	made_ko(&nic, &bytes);
	packed_size = pack_xz(bytes.data, bytes.size, 1 << 20, packed, sizeof(packed));
	assert_int_equal(ko_packing_of(packed, packed_size), KO_XZ);
	check_good(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err, "xz");
	assert_int_equal(size, bytes.size);
	assert_memory_equal(image, bytes.data, size);
	free(take_ptr(&image));
	for (size_t cut = 6; cut < packed_size; cut++)
		check_err(ko_unpack((char *)packed, cut, &image, &size, &err), &err,
			  ERR_INVALID, "xz: the file is cut", "cut");
	for (size_t at = 6; at < packed_size; at++) {
		packed[at] ^= 0x10;
		check_err(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err,
			  ERR_INVALID, "xz: ", "changed");
		packed[at] ^= 0x10;
	}
	packed_size = pack_xz("", 0, 1 << 20, packed, sizeof(packed));
	check_good(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err, "empty");
	assert_int_equal(size, 0);
}

/* Neither what comes out nor what it takes on the way is without end. */
static void test_xz_bounds(void **state)
{
	AUTO_FREE uint8_t *packed = must_calloc(1, 1 << 20);
	AUTO_FREE char *zeros = must_calloc(1, KO_MAX_BYTES + 1), *image = NULL;
	struct err err = { 0 };
	size_t size, packed_size = pack_xz(zeros, KO_MAX_BYTES + 1, 1 << 20, packed, 1 << 20);

	(void)state;
	check_err(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err,
		  ERR_INVALID, "unpacks to more than", "bomb");
	packed_size = pack_xz("module", 6, 64 << 20, packed, 1 << 20);
	check_good(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err, "-9");
	free(take_ptr(&image));
	packed_size = pack_xz("module", 6, 128 << 20, packed, 1 << 20);
	check_err(ko_unpack((char *)packed, packed_size, &image, &size, &err), &err,
		  ERR_INVALID, "xz: it takes too much memory", "dictionary");
}

static void test_depends(void **state)
{
	(void)state;
	assert_true(ko_depends_has("ib_core,mlxfw", "mlxfw"));
	assert_true(ko_depends_has("ib-core,mlxfw", "ib_core"));
	assert_false(ko_depends_has("ib_core,mlxfw", "mlx"));
	assert_false(ko_depends_has("ib_core,mlxfw", "mlxfwx"));
	assert_false(ko_depends_has("", ""));
	assert_false(ko_depends_has(",", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_module),
		cmocka_unit_test(test_name_without_end),
		cmocka_unit_test(test_one_long_name_for_many),
		cmocka_unit_test(test_sections_without_end),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_xz),
		cmocka_unit_test(test_xz_bounds),
		cmocka_unit_test(test_depends),
	};

	return cmocka_run_group_tests_name("ko", tests, NULL, NULL);
}
