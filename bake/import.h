/* import.h - lists of drivers that others keep, turned into manifests. */
#ifndef LARDER_IMPORT_H
#define LARDER_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/err.h"

#define IMPORT_MAX_BYTES (UINT32_C(8) << 20)

struct import {
	json_t *manifests; /* owned: name -> document */
	json_t *findings; /* owned: [{"kind","at","text"}] */
	json_t *digests; /* owned: sha256 -> the first URL that has it */
};
#define AUTO_IMPORT __attribute__((cleanup(import_free)))
void import_free(struct import *import);

/* document is InfiniBand/resources.json of Azure/azhpc-extensions or versions.json of
 * Azure/azhpc-images; which one shows from what is in it. Values that cannot stand in a manifest become
 * findings, not errors. ERR_INVALID: it is neither. No disk, no clock. */
MUST_USE int import_read(const json_t *document, struct import *out, struct err *err);

/* What follows is for the readers of the formats. */

/* One file for one target, as a list names it. Borrowed, and may be absent where it says so. */
struct import_row {
	const char *at; /* where it stands in the list */
	const char *family; /* a manifest's name */
	const char *version, *id;
	json_t *os; /* array of "id:version" */
	const char *arch;
	const char *nic; /* a name of import_nics */
	const char *url;
	const char *sha256; /* or NULL */
	const char
		*kernel; /* the one release that it is for, or NULL: those of the site file */
	const char *headers; /* URL of the package of that kernel's headers, or NULL */
};

/* Adds the bundle of a row to its family's manifest; a row of the same file for the same id adds its NIC. */
void import_add(struct import *import, const struct import_row *row);

void import_find(struct import *import, const char *kind, const char *at, const char *format,
		 ...) PRINTF_LIKE(4, 5);

int import_resources(const json_t *document, struct import *import, struct err *err);
int import_versions(const json_t *document, struct import *import, struct err *err);

/* "MLNX_OFED_LINUX-5.5-1.0.3.2-rhel8.2-x86_64.tgz" -> family "mlnx-ofed", version "5.5-1.0.3.2". The caller
 * frees the version. NULL: no driver that is known. */
const char *import_family(const char *url, char **out_version);

/* Is there a set of devices of this name? */
bool import_knows_nic(const char *nic);

#endif
