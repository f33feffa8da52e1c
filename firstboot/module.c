#include "firstboot/module.h"

#include <fcntl.h>
#include <libelf.h>
#include <gelf.h>
#include <string.h>

#include "cache/ko.h"

#define BUILD_ID_MAX 256
#define BUILD_ID_SECTION ".note.gnu.build-id"
#define NOTE_HEADER 16 /* of .note.gnu.build-id, before the id itself: elf(5), "GNU" */
#define MAX_DEPTH 16 /* of folders in /lib/modules/KERNEL */

bool module_name_of(const char *path, char out[MODULE_NAME_SIZE])
{
	return ko_name_of(path, out);
}

/* The kernel spells a module's name with underscores. */
static int open_loaded(const struct machine *machine, const char *name, int *out_fd)
{
	char path[128];
	struct err none = { 0 };

	snprintf(path, sizeof(path), "sys/module/%s", name);
	for (char *at = path + strlen("sys/module/"); *at; at++)
		*at = *at == '-' ? '_' : *at;
	return machine_open_dir(machine, path, out_fd, &none);
}

bool module_is_loaded(const struct machine *machine, const char *name)
{
	AUTO_CLOSE int dir = -1;

	return open_loaded(machine, name, &dir) == 0;
}

int module_open_folder(const struct machine *machine, const char *kernel, int *out_fd,
		       struct err *err)
{
	char path[FS_NAME_MAX];

	snprintf(path, sizeof(path), "lib/modules/%s", kernel);
	return machine_open_dir(machine, path, out_fd, err);
}

/* The path that modules.dep has for a module, relative to its folder. Caller frees; NULL: none. */
static char *find_file(int folder, const char *name)
{
	AUTO_FREE char *text = NULL;
	struct err none = { 0 };
	char *rest, *line;
	size_t size;

	if (fs_read_at(folder, "modules.dep", MODULE_DEP_MAX_BYTES, &text, &size, &none) < 0)
		return NULL;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		char here[MODULE_NAME_SIZE];

		line[strcspn(line, ":")] = '\0';
		if (line[0] != '/' && module_name_of(line, here) && strcmp(here, name) == 0)
			return must_strdup(line);
	}
	return NULL;
}

static void end_elf(Elf **elf)
{
	if (*elf)
		elf_end(*elf);
}

bool module_read_build_id(int fd, void *out, size_t out_size, size_t *out_length)
{
	AUTO(end_elf)
	Elf *elf = elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	size_t names;

	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &names) != 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		const Elf_Data *data;
		const char *name;
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			return false;
		name = elf_strptr(elf, names, header.sh_name);
		if (!name || strcmp(name, BUILD_ID_SECTION) != 0)
			continue;
		data = elf_rawdata(section, NULL);
		if (!data || !data->d_buf || data->d_size == 0 || data->d_size > out_size)
			return false;
		memcpy(out, data->d_buf, data->d_size);
		*out_length = data->d_size;
		return true;
	}
	return false;
}

static bool read_installed(const struct machine *machine, const char *kernel, const char *name,
			   uint8_t out[BUILD_ID_MAX], size_t *out_length)
{
	AUTO_CLOSE int folder = -1, fd = -1;
	AUTO_FREE char *path = NULL;
	struct err none = { 0 };

	if (module_open_folder(machine, kernel, &folder, &none) < 0)
		return false;
	path = find_file(folder, name);
	if (!path)
		return false;
	fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && module_read_build_id(fd, out, BUILD_ID_MAX, out_length);
}

enum module_match module_compare(const struct machine *machine, const char *kernel,
				 const char *name)
{
	uint8_t installed[BUILD_ID_MAX];
	AUTO_FREE char *loaded = NULL;
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };
	size_t size, length;

	if (open_loaded(machine, name, &dir) < 0 ||
	    fs_read_at(dir, "notes/" BUILD_ID_SECTION, BUILD_ID_MAX, &loaded, &size, &none) < 0)
		return MODULE_NOT_COMPARED;
	if (!read_installed(machine, kernel, name, installed, &length))
		return MODULE_NOT_COMPARED;
	if (size != length || memcmp(loaded, installed, size) != 0)
		return MODULE_OTHER;
	return MODULE_SAME;
}

void module_holders(const struct machine *machine, const char *name,
		    struct fs_names *out_holders)
{
	AUTO_CLOSE int dir = -1;
	struct err none = { 0 };

	if (open_loaded(machine, name, &dir) < 0 ||
	    fs_list(dir, "holders", out_holders, &none) < 0)
		*out_holders = (struct fs_names) { 0 };
}

long module_uses(const struct machine *machine, const char *name)
{
	AUTO_CLOSE int dir = -1;
	char uses[32];

	if (open_loaded(machine, name, &dir) < 0)
		return -1;
	fs_attribute(dir, "refcnt", uses, sizeof(uses));
	return uses[0] >= '0' && uses[0] <= '9' ? strtol(uses, NULL, 10) : -1;
}

/* What a loaded module says of its build. */
struct loaded {
	const char *name;
	char *note; /* owned: its build id note, or NULL */
	size_t note_size;
	char srcversion[KO_SRCVERSION_MAX];
	char *file; /* owned: what was found */
};

static bool says_so(const struct loaded *loaded, const struct ko *ko)
{
	if (loaded->note && ko->build_id_size)
		return loaded->note_size == NOTE_HEADER + ko->build_id_size &&
		       memcmp(loaded->note + NOTE_HEADER, ko->build_id, ko->build_id_size) == 0;
	return loaded->srcversion[0] && strcmp(loaded->srcversion, ko->srcversion) == 0;
}

static bool is_its_file(const struct loaded *loaded, int folder, const char *path)
{
	AUTO_FREE char *packed = NULL, *image = NULL;
	AUTO_KO struct ko ko = { 0 };
	struct err err = { 0 };
	size_t size;

	if (fs_read_at(folder, path, KO_MAX_BYTES, &packed, &size, &err) < 0)
		return false;
	if (ko_packing_of(packed, size) == KO_PLAIN)
		image = take_ptr(&packed);
	else if (ko_unpack(packed, size, &image, &size, &err) < 0)
		return false;
	return ko_parse(image, size, &ko, &err) == 0 && says_so(loaded, &ko);
}

/* Looks through a folder below that of the kernel; links are not followed. */
static void search(struct loaded *loaded, int folder, const char *path, int depth)
{
	AUTO_NAMES struct fs_names names = { 0 };
	struct err none = { 0 };

	if (depth > MAX_DEPTH || fs_list(folder, path, &names, &none) < 0)
		return;
	for (size_t i = 0; i < names.count && !loaded->file; i++) {
		AUTO_FREE char *inside = depth ? must_printf("%s/%s", path, names.name[i])
					       : must_strdup(names.name[i]);
		char name[MODULE_NAME_SIZE];
		struct stat status;

		if (fstatat(folder, inside, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(status.st_mode))
			search(loaded, folder, inside, depth + 1);
		else if (module_name_of(inside, name) && strcmp(name, loaded->name) == 0 &&
			 is_its_file(loaded, folder, inside))
			loaded->file = take_ptr(&inside);
	}
}

char *module_loaded_file(const struct machine *machine, const char *kernel, const char *name)
{
	struct loaded loaded = { .name = name };
	AUTO_CLOSE int dir = -1, folder = -1;
	AUTO_FREE char *note = NULL, *file = NULL;
	struct err none = { 0 };

	if (open_loaded(machine, name, &dir) < 0 ||
	    module_open_folder(machine, kernel, &folder, &none) < 0)
		return NULL;
	if (fs_read_at(dir, "notes/" BUILD_ID_SECTION, BUILD_ID_MAX, &note, &loaded.note_size,
		       &none) == 0)
		loaded.note = note;
	fs_attribute(dir, "srcversion", loaded.srcversion, sizeof(loaded.srcversion));
	search(&loaded, folder, ".", 0);
	file = loaded.file;
	return file ? must_printf("/lib/modules/%s/%s", kernel, file) : NULL;
}
