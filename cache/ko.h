/* ko.h - what a kernel module file says of itself, read from its bytes without loading it.
 * Source: Linux kernel/module/main.c, kernel/module/version.c, scripts/mod/modpost.c, include/linux/module_signature.h. */
#ifndef LARDER_KO_H
#define LARDER_KO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/err.h"

#define KO_MAX_BYTES (UINT32_C(128) << 20) /* of one module, unpacked */
#define KO_MAX_SECTIONS 65536
#define KO_MAX_SYMBOLS 262144 /* of one table */
#define KO_MAX_SIGNATURE (UINT32_C(64) << 10)
#define KO_SYMBOL_MAX 512 /* bytes, with the NUL: KSYM_NAME_LEN of linux/kallsyms.h */
#define KO_NAME_MAX 64 /* bytes, with the NUL */
#define KO_VERMAGIC_MAX 256
#define KO_DEPENDS_MAX 4096
#define KO_SRCVERSION_MAX 64
#define KO_BUILD_ID_MAX 64
#define KO_MODULE_LAYOUT                                                                       \
	"module_layout" /* what stands in a table of versions beside real symbols */

/* Who signed: as the signature says, which nobody has checked. */
struct ko_signer {
	char name[128]; /* the common name of its issuer; "" where it has none */
	char id[130]; /* serial number, or key id, in hex; "" where it cannot be read */
};

enum ko_signature {
	KO_UNSIGNED,
	KO_SIGNED,
	KO_SIGNED_ODDLY /* a kind this code does not know */
};

struct ko_symbol {
	const char *name; /* borrowed from the image */
	uint32_t crc;
	bool has_crc;
	bool weak; /* the module does without it */
};

struct ko {
	uint16_t machine; /* elf.h EM_X86_64, EM_AARCH64, ... */
	char name[KO_NAME_MAX]; /* "" where the module does not say it: kernels before 4.13 */
	char vermagic[KO_VERMAGIC_MAX]; /* "" where there is none */
	char depends[KO_DEPENDS_MAX]; /* "ib_core,mlxfw" */
	char srcversion[KO_SRCVERSION_MAX];
	size_t alias_count;
	uint8_t build_id[KO_BUILD_ID_MAX];
	size_t build_id_size; /* 0: none */
	bool has_versions; /* a table of symbol versions is there */
	struct ko_symbol
		*need; /* owned, sorted by name, no doubles: what it takes from others */
	size_t need_count;
	struct ko_symbol
		*export; /* owned, sorted by name, no doubles: what it gives to others */
	size_t export_count;
	enum ko_signature signature;
	size_t signature_size; /* bytes */
	struct ko_signer signer;
};
#define AUTO_KO __attribute__((cleanup(ko_free)))
void ko_free(struct ko *ko);

/* Reads an unpacked 64-bit little-endian module. The image has to outlive *out. ERR_INVALID: no kernel module. */
MUST_USE int ko_parse(const void *image, size_t size, struct ko *out, struct err *err);

/* Finds a name in a sorted list; NULL: not there. */
const struct ko_symbol *ko_find(const struct ko_symbol *symbol, size_t count, const char *name);

/* "mlx5-core.ko.xz" or a path to it -> "mlx5_core". False: no module file. */
bool ko_name_of(const char *path, char out[KO_NAME_MAX]);

/* Is this module one of those in "a,b-c"? Dashes are underscores. */
bool ko_depends_has(const char *depends, const char *name);

/* ko_signer.c: from the bytes of a PKCS#7 message. False: they are none, or have no signer. */
bool ko_signer_read(const void *data, size_t size, struct ko_signer *out);

/* ko_signer.c: what stands behind the ELF file. *size, that of the whole file, becomes the ELF file's alone. ERR_INVALID:
 * an end that no kernel takes. */
MUST_USE int ko_trailer_read(const void *image, size_t *size, struct ko *ko, struct err *err);

/* How the bytes of a module file are packed. */
enum ko_packing { KO_PLAIN, KO_GZIP, KO_ZSTD, KO_XZ };
enum ko_packing ko_packing_of(const void *data, size_t size);

/* ko_unpack.c: the module inside a gzip, zstd or xz file. The caller frees. ERR_INVALID: damaged, or more than
 * KO_MAX_BYTES. */
MUST_USE int ko_unpack(const void *data, size_t size, char **out_image, size_t *out_size,
		       struct err *err);

#endif
