/* select.h - which bundles of an offer a slice carries: by OS, architecture, kernel, NIC and VM size. */
#ifndef LARDER_SELECT_H
#define LARDER_SELECT_H

#include "cache/base/cli.h"
#include "cache/nic.h"
#include "cache/table.h"

/* What the command line gave, as it stands there. */
struct select_lists {
	struct cli_list os, arches, kernels, nics, sizes;
};
void select_lists_free(struct select_lists *lists);

/* Rows of an option table: SELECT_OPTIONS(struct bake_args, select), where select is the select_lists. */
#define SELECT_OPTIONS(args, field)                                                            \
	{ "os", "ID:VERSION,...",                                                              \
	  "only bundles for these, such as ubuntu:22.04; any: those for every OS alone",       \
	  offsetof(args, field.os), CLI_LIST },                                                \
		{ "arch", "ARCH,...", "only bundles for these: x86_64, aarch64",               \
		  offsetof(args, field.arches), CLI_LIST },                                    \
		{ "kernel", "RELEASE,...", "only bundles that fit one of these kernels",       \
		  offsetof(args, field.kernels), CLI_LIST },                                   \
		{ "nic", "NIC,...",                                                            \
		  "only bundles for these: cx5, 15b3:101c, a modalias or a PnP id",            \
		  offsetof(args, field.nics), CLI_LIST },                                      \
	{                                                                                      \
		"size", "VMSIZE,...", "only bundles that fit one of these VM sizes",           \
			offsetof(args, field.sizes), CLI_LIST                                  \
	}

/* For the details of a verb that has these options. */
#define SELECT_DETAILS                                                                         \
	"Several values of one option: any of them. Several options: all of them. What a "     \
	"bundle leaves open (\"any\" as its OS, no kernels, no sizes) fits every value; a "    \
	"bundle for version 9 of an OS fits 9.4. A NIC that is not known is refused with the " \
	"names that are; ConnectX-6 Dx to -9, BlueField-2 and -3 have one id for their "       \
	"virtual functions, so that cx7 selects cx6dx bundles that claim it."

/* Zeroed: everything. An empty list asks nothing. */
struct select {
	const struct select_lists *lists; /* borrowed; NULL: everything */
	struct nic_devices devices; /* of lists->nics */
};
#define AUTO_SELECT __attribute__((cleanup(select_free)))
void select_free(struct select *select);

/* ERR_USAGE: a value that could never fit anything: a glob as a kernel, a NIC nobody knows. */
MUST_USE int select_from_lists(const struct select_lists *lists, struct select *out,
			       struct err *err);

bool select_is_all(const struct select *select);

/* A bundle is selected where one of its tables and its row are. The name of a table is its subject's:
 * "linux/debian-12/x86_64". */
bool select_table(const struct select *select, const char *name);
bool select_row(const struct select *select, const struct table_row *row);

/* "--os debian:12 --nic cx5,cx6", for messages. The caller frees. */
char *select_text(const struct select *select);

/* "--os debian:12: no bundle of WHAT is selected". Fills err with ERR_USAGE, and returns -1. */
int select_none(const struct select *select, const char *what, struct err *err);

/* "linux" or "windows": the family of an OS as manifests name it. */
const char *select_family(const char *os);

#endif
