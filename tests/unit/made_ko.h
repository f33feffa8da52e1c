/* made_ko.h - small kernel modules, made to measure: ELF with the sections that matter. */
#ifndef LARDER_TEST_MADE_KO_H
#define LARDER_TEST_MADE_KO_H

#include <elf.h>

#include "cache/ko.h"
#include "tests/unit/support.h"

#define MADE_MAX_SYMBOLS 8
#define MADE_VERMAGIC "6.1.0-1-amd64 SMP preempt mod_unload modversions "

struct made_symbol {
	const char *name;
	uint32_t crc;
};

struct made_ko {
	const char *info; /* "key=value|key=value" */
	bool no_versions, long_versions; /* which table of versions */
	struct made_symbol need[MADE_MAX_SYMBOLS]; /* ends with a NULL */
	struct made_symbol export[MADE_MAX_SYMBOLS];
	const char *weak; /* asked for weakly, without a version; NULL: none */
	bool absolute; /* exports as kernels before 5.19 have them */
	uint16_t machine;
};

struct made_bytes {
	char data[16384];
	size_t size;
};

static inline size_t made_put(struct made_bytes *bytes, const void *data, size_t size)
{
	size_t at = bytes->size;

	assert_true(size <= sizeof(bytes->data) - at);
	if (size)
		memcpy(bytes->data + at, data, size);
	bytes->size += size;
	return at;
}

static inline size_t made_text(struct made_bytes *bytes, const char *text)
{
	return made_put(bytes, text, strlen(text) + 1);
}

static inline void made_symbol(struct made_bytes *symtab, struct made_bytes *names,
			       const char *prefix, const char *name, unsigned bind,
			       uint16_t section, uint64_t value)
{
	AUTO_FREE char *whole = must_printf("%s%s", prefix, name);
	const Elf64_Sym symbol = { .st_name = (Elf64_Word)made_text(names, whole),
				   .st_info = (uint8_t)(bind << 4),
				   .st_shndx = section,
				   .st_value = value };

	made_put(symtab, &symbol, sizeof(symbol));
}

static inline void made_versions(const struct made_ko *made, struct made_bytes *table,
				 struct made_bytes *names)
{
	for (const struct made_symbol *need = made->need; need->name; need++) {
		struct {
			uint64_t crc;
			char name[56];
		} row = { .crc = need->crc };

		if (made->long_versions) {
			made_put(table, &need->crc, sizeof(need->crc));
			made_text(names, need->name);
			continue;
		}
		strncpy(row.name, need->name, sizeof(row.name) - 1);
		made_put(table, &row, sizeof(row));
	}
}

enum {
	MADE_INFO = 1,
	MADE_VERSIONS,
	MADE_NAMES,
	MADE_CRCS,
	MADE_NOTE,
	MADE_SYMTAB,
	MADE_STRTAB,
	MADE_SHSTRTAB,
	MADE_SECTIONS
};

static inline void made_symbols(const struct made_ko *made, struct made_bytes part[])
{
	struct made_bytes *symtab = &part[MADE_SYMTAB], *names = &part[MADE_STRTAB];

	made_text(names, "");
	made_put(symtab, &(Elf64_Sym) { 0 }, sizeof(Elf64_Sym));
	for (const struct made_symbol *need = made->need; need->name; need++) {
		if (strcmp(need->name, KO_MODULE_LAYOUT) != 0)
			made_symbol(symtab, names, "", need->name, STB_GLOBAL, SHN_UNDEF, 0);
	}
	if (made->weak)
		made_symbol(symtab, names, "", made->weak, STB_WEAK, SHN_UNDEF, 0);
	for (const struct made_symbol *give = made->export; give->name; give++) {
		size_t at = made_put(&part[MADE_CRCS], &give->crc, sizeof(give->crc));

		made_symbol(symtab, names, "__ksymtab_", give->name, STB_LOCAL, MADE_CRCS, 0);
		made_symbol(symtab, names, "__crc_", give->name, STB_LOCAL,
			    made->absolute ? SHN_ABS : MADE_CRCS,
			    made->absolute ? give->crc : at);
	}
}

static inline void made_info(const char *info, struct made_bytes *out)
{
	AUTO_FREE char *copy = must_strdup(info);
	char *rest = copy;

	for (char *one = strsep(&rest, "|"); one; one = strsep(&rest, "|"))
		made_text(out, one);
}

/* The sections one behind the other, then their headers. */
static inline void made_join(const struct made_ko *made, struct made_bytes part[],
			     struct made_bytes *out)
{
	const char *names[MADE_SECTIONS] = { "",
					     ".modinfo",
					     made->no_versions	   ? ".none"
					     : made->long_versions ? "__version_ext_crcs"
								   : "__versions",
					     made->long_versions ? "__version_ext_names"
								 : ".none",
					     "__kcrctab",
					     ".note.gnu.build-id",
					     ".symtab",
					     ".strtab",
					     ".shstrtab" };
	Elf64_Ehdr head = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					 ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_REL,
			    .e_machine = made->machine ? made->machine : EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_ehsize = sizeof(head),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = MADE_SECTIONS,
			    .e_shstrndx = MADE_SHSTRTAB };
	Elf64_Shdr section[MADE_SECTIONS] = { 0 };

	for (size_t i = 0; i < MADE_SECTIONS; i++)
		section[i].sh_name = (Elf64_Word)made_text(&part[MADE_SHSTRTAB], names[i]);
	made_put(out, &head, sizeof(head));
	for (size_t i = 1; i < MADE_SECTIONS; i++) {
		section[i].sh_type = i == MADE_SYMTAB	? SHT_SYMTAB
				     : i >= MADE_STRTAB ? SHT_STRTAB
				     : i == MADE_NOTE	? SHT_NOTE
							: SHT_PROGBITS;
		section[i].sh_link = i == MADE_SYMTAB ? MADE_STRTAB : 0;
		section[i].sh_entsize = i == MADE_SYMTAB ? sizeof(Elf64_Sym) : 0;
		section[i].sh_size = part[i].size;
		section[i].sh_offset = made_put(out, part[i].data, part[i].size);
	}
	made_put(out, "\0\0\0\0\0\0\0", -out->size % 8);
	head.e_shoff = made_put(out, section, sizeof(section));
	memcpy(out->data, &head, sizeof(head));
}

static inline void made_ko(const struct made_ko *made, struct made_bytes *out)
{
	static const char note[] = "\4\0\0\0\4\0\0\0\3\0\0\0GNU\0\xde\xad\xbe\xef";
	struct made_bytes *part = must_calloc(MADE_SECTIONS, sizeof(*part));

	out->size = 0;
	made_info(made->info ? made->info : "", &part[MADE_INFO]);
	made_versions(made, &part[MADE_VERSIONS], &part[MADE_NAMES]);
	made_put(&part[MADE_NOTE], note, sizeof(note) - 1);
	made_symbols(made, part);
	made_join(made, part, out);
	free(part);
}

/* The trailer of a signed module: what signs it, how long that says it is, and of what kind. */
static inline void made_trailer(struct made_bytes *out, const void *data, size_t size,
				uint32_t said, uint8_t kind)
{
	const uint8_t head[12] = { 0,
				   0,
				   kind,
				   0,
				   0,
				   0,
				   0,
				   0,
				   (uint8_t)(said >> 24),
				   (uint8_t)(said >> 16),
				   (uint8_t)(said >> 8),
				   (uint8_t)said };

	made_put(out, data, size);
	made_put(out, head, sizeof(head));
	made_put(out, "~Module signature appended~\n", 28);
}

#endif
