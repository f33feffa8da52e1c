#include "cache/ko.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/auto.h"
#include "cache/base/span.h"

#define VERSION_BYTES 64 /* struct modversion_info: a long and a name, linux/module.h */
#define VERSION_CRC_BYTES 8
#define SYMBOL_BYTES 24 /* Elf64_Sym */
#define CRC_BYTES 4
#define BUILD_ID_HEAD 12 /* a note's sizes and type; then "GNU" */
#define CRC_PREFIX "__crc_"
#define EXPORT_PREFIX "__ksymtab_"

/* Sections by the part they play; one that is not there is empty. */
struct parts {
	Elf *elf;
	struct span modinfo, versions, ext_crcs, ext_names, build_id, symtab, strtab;
	bool has_versions;
};

struct list {
	struct ko_symbol *symbol;
	size_t count, room;
};

static void end_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

static void free_list(struct list *list)
{
	free(list->symbol);
}
#define AUTO_LIST AUTO(free_list)

void ko_free(struct ko *ko)
{
	free(ko->need);
	free(ko->export);
	*ko = (struct ko) { 0 };
}

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct ko_symbol *)left)->name,
		      ((const struct ko_symbol *)right)->name);
}

const struct ko_symbol *ko_find(const struct ko_symbol *symbol, size_t count, const char *name)
{
	const struct ko_symbol key = { .name = name };

	return count ? bsearch(&key, symbol, count, sizeof(*symbol), by_name) : NULL;
}

static bool same_module(const char *word, size_t length, const char *name)
{
	for (size_t i = 0; i < length; i++) {
		if ((word[i] == '-' ? '_' : word[i]) != (name[i] == '-' ? '_' : name[i]))
			return false; /* also where the name ends */
	}
	return name[length] == '\0';
}

bool ko_depends_has(const char *depends, const char *name)
{
	while (*depends) {
		size_t length = strcspn(depends, ",");

		if (length && same_module(depends, length, name))
			return true;
		depends += length + (depends[length] == ',');
	}
	return false;
}

static int add(struct list *list, const struct ko_symbol *symbol, struct err *err)
{
	if (list->count == KO_MAX_SYMBOLS)
		return err_set(err, ERR_INVALID, "more than %d symbols", KO_MAX_SYMBOLS);
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->symbol = must_realloc(list->symbol, list->room, sizeof(*list->symbol));
	}
	list->symbol[list->count++] = *symbol;
	return 0;
}

/* Of two with one name the one that stands before the other in the file. */
static int by_name_and_place(const void *left, const void *right)
{
	uintptr_t here = (uintptr_t)((const struct ko_symbol *)left)->name;
	uintptr_t there = (uintptr_t)((const struct ko_symbol *)right)->name;
	int order = by_name(left, right);

	return order ? order : (here > there) - (here < there);
}

/* Sorts; of doubles the first stays, as the kernel looks from the front. */
static void settle(struct list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->symbol, list->count, sizeof(*list->symbol), by_name_and_place);
	for (size_t i = 0; i < list->count; i++) {
		if (!kept || strcmp(list->symbol[kept - 1].name, list->symbol[i].name) != 0)
			list->symbol[kept++] = list->symbol[i];
	}
	list->count = kept;
}

/* A name as the kernel has them: it reaches people's terminals. */
static bool is_symbol(const char *name)
{
	size_t length = 0;

	for (; length < KO_SYMBOL_MAX && name[length]; length++) {
		if (name[length] <= ' ' || name[length] > '~')
			return false;
	}
	return length > 0 && length < KO_SYMBOL_MAX;
}

/* The text up to a NUL, in place; NULL: none ends here, or no name. */
static const char *take_name(struct span *names)
{
	const char *name = (const char *)names->data;
	const struct span text = span_take_until(names, '\0');

	return !span_bad(&text) && is_symbol(name) ? name : NULL;
}

static struct span span_of_section(Elf_Scn *section)
{
	const Elf_Data *data = elf_rawdata(section, NULL);

	return data && data->d_buf ? span_of(data->d_buf, data->d_size) : span_of(NULL, 0);
}

/* Names are read from a table as often as something points there: its end has to be known. The kernel asks for the same. */
static bool is_ended(const struct span *names)
{
	return names->size && names->data[names->size - 1] == '\0';
}

/* The kernel takes the first section of a name. */
static void take_section(struct parts *parts, const char *name, const GElf_Shdr *header,
			 Elf_Scn *section)
{
	const struct {
		const char *name;
		struct span *span;
	} rows[] = {
		{ ".modinfo", &parts->modinfo },
		{ "__versions", &parts->versions },
		{ "__version_ext_crcs", &parts->ext_crcs },
		{ "__version_ext_names", &parts->ext_names },
		{ ".note.gnu.build-id", &parts->build_id },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(name, rows[i].name) == 0 && !rows[i].span->data)
			*rows[i].span = span_of_section(section);
	}
	parts->has_versions |= parts->versions.data || parts->ext_crcs.data;
	if (header->sh_type == SHT_SYMTAB && !parts->symtab.data) {
		Elf_Scn *names = elf_getscn(parts->elf, header->sh_link);

		parts->symtab = span_of_section(section);
		parts->strtab = names ? span_of_section(names) : span_of(NULL, 0);
	}
}

static int find_parts(struct parts *parts, struct err *err)
{
	Elf_Scn *section = NULL;
	struct span texts;
	size_t names, count;

	if (elf_getshdrnum(parts->elf, &count) != 0 ||
	    elf_getshdrstrndx(parts->elf, &names) != 0)
		return err_set(err, ERR_INVALID, "its section table cannot be read");
	section = elf_getscn(parts->elf, names);
	texts = section ? span_of_section(section) : span_of(NULL, 0);
	if (!is_ended(&texts))
		return err_set(err, ERR_INVALID, "the names of its sections do not end");
	section = NULL;
	if (count > KO_MAX_SECTIONS)
		return err_set(err, ERR_INVALID, "more than %d sections", KO_MAX_SECTIONS);
	while ((section = elf_nextscn(parts->elf, section))) {
		const char *name;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			return err_set(err, ERR_INVALID, "a section header cannot be read");
		name = elf_strptr(parts->elf, names, header.sh_name);
		if (!name)
			return err_set(err, ERR_INVALID, "a section has no name");
		take_section(parts, name, &header, section);
	}
	if (!parts->modinfo.data)
		return err_set(err, ERR_INVALID, "it has no .modinfo section");
	if (!parts->symtab.data || !parts->strtab.data)
		return err_set(err, ERR_INVALID, "it has no symbol table");
	if (!is_ended(&parts->strtab))
		return err_set(err, ERR_INVALID, "the names of its symbols do not end");
	return 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

static int take_info(struct ko *ko, const char *text, struct err *err)
{
	const struct {
		const char *key;
		char *value;
		size_t room;
	} rows[] = {
		{ "name=", ko->name, sizeof(ko->name) },
		{ "vermagic=", ko->vermagic, sizeof(ko->vermagic) },
		{ "depends=", ko->depends, sizeof(ko->depends) },
		{ "srcversion=", ko->srcversion, sizeof(ko->srcversion) },
	};

	ko->alias_count += strncmp(text, "alias=", 6) == 0;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const size_t length = strlen(rows[i].key);
		const char *value = text + length;

		if (strncmp(text, rows[i].key, length) != 0 || rows[i].value[0])
			continue;
		if (strlen(value) >= rows[i].room || !is_printable(value))
			return err_set(err, ERR_INVALID, "%.*s in .modinfo is no such text",
				       (int)length - 1, rows[i].key);
		memcpy(rows[i].value, value, strlen(value) + 1);
	}
	return 0;
}

/* "key=value" and NULs, as many as there are. */
static int read_info(struct ko *ko, struct span modinfo, struct err *err)
{
	while (modinfo.size) {
		const char *text = (const char *)modinfo.data;
		const struct span taken = span_take_until(&modinfo, '\0');

		if (span_bad(&taken))
			return err_set(err, ERR_INVALID, ".modinfo does not end");
		if (take_info(ko, text, err) < 0)
			return -1;
	}
	return 0;
}

static int read_fixed_versions(struct span table, struct list *list, struct err *err)
{
	if (table.size % VERSION_BYTES)
		return err_set(err, ERR_INVALID, "__versions ends within an entry");
	while (table.size) {
		struct span name = span_take(&table, VERSION_BYTES);
		struct ko_symbol symbol = { .has_crc = true };

		symbol.crc = (uint32_t)span_take_u64(&name);
		if (name.data[0] == '\0')
			continue;
		symbol.name = take_name(&name);
		if (!symbol.name)
			return err_set(err, ERR_INVALID,
				       "__versions has an entry without a name");
		if (add(list, &symbol, err) < 0)
			return -1;
	}
	return 0;
}

/* Since Linux 6.14: numbers in the one section, names of any length in the other. */
static int read_long_versions(struct span crcs, struct span names, struct list *list,
			      struct err *err)
{
	if (crcs.size % CRC_BYTES)
		return err_set(err, ERR_INVALID, "__version_ext_crcs ends within an entry");
	while (crcs.size) {
		struct ko_symbol symbol = { .has_crc = true };

		symbol.crc = span_take_u32(&crcs);
		symbol.name = take_name(&names);
		if (!symbol.name)
			return err_set(err, ERR_INVALID,
				       "__version_ext_names has fewer names than numbers");
		if (add(list, &symbol, err) < 0)
			return -1;
	}
	return 0;
}

/* The kernel looks in the extended tables and, without them, in the old one. */
static int read_versions(const struct parts *parts, struct list *list, struct err *err)
{
	if (parts->ext_crcs.data &&
	    read_long_versions(parts->ext_crcs, parts->ext_names, list, err) < 0)
		return -1;
	if (!parts->ext_crcs.data && read_fixed_versions(parts->versions, list, err) < 0)
		return -1;
	settle(list);
	return 0;
}

struct entry {
	const char *name; /* "" where it has none */
	unsigned bind;
	uint16_t section;
	uint64_t value;
};

static int take_entry(struct span *symtab, struct span strtab, struct entry *out,
		      struct err *err)
{
	struct span raw = span_take(symtab, SYMBOL_BYTES), bytes;
	uint32_t name = span_take_u32(&raw);

	bytes = span_take(&raw, 4);
	span_take(&strtab, name);
	if (span_bad(&bytes) || span_bad(&strtab) || !strtab.size)
		return err_set(err, ERR_INVALID, "its symbol table cannot be read");
	out->name = (const char *)strtab.data;
	out->bind = bytes.data[0] >> 4;
	out->section = (uint16_t)(bytes.data[2] | bytes.data[3] << 8);
	out->value = span_take_u64(&raw);
	return 0;
}

/* Old kernels have the number as the value of an absolute symbol, new ones in a section. */
static bool read_crc(Elf *elf, const struct entry *entry, uint32_t *out)
{
	struct span bytes;
	Elf_Scn *section;

	if (entry->section == SHN_ABS) {
		*out = (uint32_t)entry->value;
		return true;
	}
	section = entry->section < SHN_LORESERVE ? elf_getscn(elf, entry->section) : NULL;
	bytes = section ? span_of_section(section) : span_of(NULL, 0);
	span_take(&bytes, entry->value);
	*out = span_take_u32(&bytes);
	return !span_bad(&bytes);
}

static int add_need(const struct list *versions, const struct entry *entry, struct list *needs,
		    struct err *err)
{
	const struct ko_symbol *version =
		ko_find(versions->symbol, versions->count, entry->name);
	struct ko_symbol symbol = { .name = entry->name, .weak = entry->bind == STB_WEAK };

	if (strcmp(entry->name, "_GLOBAL_OFFSET_TABLE_") == 0)
		return 0; /* the kernel passes it over as well */
	if (!is_symbol(entry->name))
		return err_set(err, ERR_INVALID, "a symbol's name is none");
	if (version) {
		symbol.crc = version->crc;
		symbol.has_crc = true;
	}
	return add(needs, &symbol, err);
}

static int read_symbols(const struct parts *parts, const struct list *versions,
			struct list *needs, struct list *exports, struct list *crcs,
			struct err *err)
{
	struct span symtab = parts->symtab;

	if (symtab.size % SYMBOL_BYTES)
		return err_set(err, ERR_INVALID, "its symbol table ends within an entry");
	while (symtab.size) {
		struct ko_symbol symbol = { .has_crc = true };
		struct entry entry = { 0 };

		if (take_entry(&symtab, parts->strtab, &entry, err) < 0)
			return -1;
		if (entry.section == SHN_UNDEF && entry.name[0] && entry.bind != STB_LOCAL &&
		    add_need(versions, &entry, needs, err) < 0)
			return -1;
		if (entry.section == SHN_UNDEF)
			continue;
		symbol.name = entry.name + strlen(CRC_PREFIX);
		if (strncmp(entry.name, CRC_PREFIX, strlen(CRC_PREFIX)) == 0 &&
		    is_symbol(symbol.name) && read_crc(parts->elf, &entry, &symbol.crc) &&
		    add(crcs, &symbol, err) < 0)
			return -1;
		symbol = (struct ko_symbol) { .name = entry.name + strlen(EXPORT_PREFIX) };
		if (strncmp(entry.name, EXPORT_PREFIX, strlen(EXPORT_PREFIX)) == 0 &&
		    is_symbol(symbol.name) && add(exports, &symbol, err) < 0)
			return -1;
	}
	return 0;
}

static int add_layout(const struct list *versions, struct list *needs, struct err *err)
{
	const struct ko_symbol *layout =
		ko_find(versions->symbol, versions->count, KO_MODULE_LAYOUT);

	return layout ? add(needs, layout, err) : 0;
}

static void give(struct list *list, struct ko_symbol **out, size_t *out_count)
{
	settle(list);
	*out_count = list->count;
	*out = take_ptr(&list->symbol);
}

static int read_tables(struct ko *ko, const struct parts *parts, struct err *err)
{
	AUTO_LIST struct list versions = { 0 }, needs = { 0 }, exports = { 0 }, crcs = { 0 };

	if (read_versions(parts, &versions, err) < 0 ||
	    add_layout(&versions, &needs, err) < 0 ||
	    read_symbols(parts, &versions, &needs, &exports, &crcs, err) < 0)
		return -1;
	settle(&crcs);
	for (size_t i = 0; i < exports.count; i++) {
		const struct ko_symbol *crc =
			ko_find(crcs.symbol, crcs.count, exports.symbol[i].name);

		if (crc)
			exports.symbol[i] = *crc;
	}
	ko->has_versions = parts->has_versions;
	give(&needs, &ko->need, &ko->need_count);
	give(&exports, &ko->export, &ko->export_count);
	return 0;
}

/* An ELF note: three numbers, "GNU" and the id. One of another form is as good as none. */
static void read_build_id(struct ko *ko, struct span note)
{
	uint32_t name_size = span_take_u32(&note), size = span_take_u32(&note);
	struct span name, id;

	span_take_u32(&note);
	name = span_take(&note, name_size == 4 ? 4 : SIZE_MAX);
	id = span_take(&note, size);
	if (span_bad(&id) || memcmp(name.data, "GNU", 4) != 0 || id.size > KO_BUILD_ID_MAX)
		return;
	memcpy(ko->build_id, id.data, id.size);
	ko->build_id_size = id.size;
}

static int read_elf(struct ko *ko, const void *image, size_t size, struct err *err)
{
	AUTO(end_elf) Elf *elf = NULL;
	struct parts parts = { 0 };
	GElf_Ehdr header;

	/* Only read: libelf has no const of its own here. */
	if (elf_version(EV_CURRENT) != EV_NONE)
		elf = elf_memory((char *)(uintptr_t)image, size);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return err_set(err, ERR_INVALID, "no ELF file");
	if (header.e_type != ET_REL || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB)
		return err_set(err, ERR_INVALID, "no relocatable 64-bit ELF file");
	ko->machine = header.e_machine;
	parts.elf = elf;
	if (find_parts(&parts, err) < 0 || read_info(ko, parts.modinfo, err) < 0)
		return -1;
	if (parts.build_id.data)
		read_build_id(ko, parts.build_id);
	return read_tables(ko, &parts, err);
}

int ko_parse(const void *image, size_t size, struct ko *out, struct err *err)
{
	AUTO_KO struct ko ko = { 0 };
	size_t elf_size = size;

	if (size > KO_MAX_BYTES)
		return err_set(err, ERR_INVALID, "more than %u bytes", KO_MAX_BYTES);
	if (ko_trailer_read(image, &elf_size, &ko, err) < 0 ||
	    read_elf(&ko, image, elf_size, err) < 0)
		return -1;
	*out = ko;
	ko = (struct ko) { 0 };
	return 0;
}
