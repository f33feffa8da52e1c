/* Source: deb(5), deb-control(5). The tars lie in the deb unpacked: blobs are packed already. */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "bake/package.h"
#include "cache/tar.h"

/* What a ustar header says in octal digits, and so what every dpkg reads. */
#define DEB_MAX_BYTES ((UINT64_C(8) << 30) - 1)

/* An archive that is made in memory. */
struct maker {
	struct archive *archive;
	const struct package *package; /* borrowed */
	char *data; /* owned, unless it was taken */
	size_t size;
	bool done; /* what closing adds is not wanted */
};

static void maker_free(struct maker *maker)
{
	archive_write_free(maker->archive);
	free(maker->data);
}
#define AUTO_MAKER AUTO(maker_free)

static la_ssize_t collect(struct archive *archive, void *context, const void *data, size_t size)
{
	struct maker *maker = context;

	(void)archive;
	if (maker->done)
		return (la_ssize_t)size;
	maker->data = must_realloc(maker->data, maker->size + size, 1);
	memcpy(maker->data + maker->size, data, size);
	maker->size += size;
	return (la_ssize_t)size;
}

/* set_format: libarchive's. */
static int maker_begin(struct maker *maker, const struct package *package,
		       int (*set_format)(struct archive *), struct err *err)
{
	*maker = (struct maker) { .archive = archive_write_new(), .package = package };
	if (!maker->archive)
		abort();
	if (set_format(maker->archive) == ARCHIVE_OK &&
	    archive_write_set_bytes_per_block(maker->archive, 0) == ARCHIVE_OK &&
	    archive_write_open(maker->archive, maker, NULL, collect, NULL) == ARCHIVE_OK)
		return 0;
	return err_set(err, ERR_SYSTEM, "deb: %s", archive_error_string(maker->archive));
}

static int put_header(struct maker *maker, const char *path, mode_t mode, uint64_t size,
		      struct err *err)
{
	struct archive_entry *entry = archive_entry_new();
	int code;

	if (!entry)
		abort();
	archive_entry_set_pathname(entry, path);
	archive_entry_set_mode(entry, mode);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, (time_t)maker->package->time, 0);
	code = archive_write_header(maker->archive, entry);
	archive_entry_free(entry);
	if (code == ARCHIVE_OK)
		return 0;
	return err_set(err, ERR_SYSTEM, "deb: %s: %s", path,
		       archive_error_string(maker->archive));
}

static int put_file(struct maker *maker, const char *path, mode_t mode, const void *data,
		    size_t size, struct err *err)
{
	if (put_header(maker, path, S_IFREG | mode, size, err) < 0)
		return -1;
	if (archive_write_data(maker->archive, data, size) == (la_ssize_t)size)
		return 0;
	return err_set(err, ERR_SYSTEM, "deb: %s: %s", path,
		       archive_error_string(maker->archive));
}

static int put_folders(struct maker *maker, const char *const *path, size_t count,
		       struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		if (put_header(maker, path[i], S_IFDIR | 0755, 0, err) < 0)
			return -1;
	}
	return 0;
}

static char *control_text(const struct package *package)
{
	AUTO_FREE char *text = must_printf("%s", package_text);

	for (char *at = strchr(text, '\n'); at; at = strchr(at, '\n'))
		*at = '\v';
	for (char *at = text; *at; at++)
		*at = *at == '\v' ? ' ' : *at;
	return must_printf("Package: %s\n"
			   "Version: %llu\n"
			   "Architecture: all\n"
			   "Maintainer: larder <noreply@larder.invalid>\n"
			   "Installed-Size: %llu\n"
			   "Section: admin\n"
			   "Priority: optional\n"
			   "Description: %s\n"
			   " %s\n"
			   " .\n"
			   " Serial %llu; %zu of %zu bundles are carried.\n",
			   package->name, (unsigned long long)package->serial,
			   (unsigned long long)(package->bytes + 1023) / 1024, package_summary,
			   text, (unsigned long long)package->serial, package->carried,
			   package->bundles);
}

static int make_control(const struct package *package, struct maker *maker, struct err *err)
{
	AUTO_FREE char *control = control_text(package);
	AUTO_FREE char *script = must_printf(
		"#!/bin/sh\nset -e\n[ \"$1\" = configure ] || exit 0\n%s", package_script);
	static const char *const folders[] = { "./" };

	if (maker_begin(maker, package, archive_write_set_format_gnutar, err) < 0 ||
	    put_folders(maker, folders, COUNT_OF(folders), err) < 0 ||
	    put_file(maker, "./control", 0644, control, strlen(control), err) < 0 ||
	    put_file(maker, "./postinst", 0755, script, strlen(script), err) < 0)
		return -1;
	if (archive_write_close(maker->archive) == ARCHIVE_OK)
		return 0;
	return err_set(err, ERR_SYSTEM, "deb: %s", archive_error_string(maker->archive));
}

static int put_copyright(struct maker *maker, const struct package *package, struct err *err)
{
	static const char text[] = "A cache that larder packed. Each driver bundle in it is "
				   "under the licence of its\n"
				   "vendor: 'larder show' names it.\n";
	AUTO_FREE char *folder = must_printf("./usr/share/doc/%s/", package->name);
	AUTO_FREE char *file = must_printf("%scopyright", folder);
	const char *const folders[] = { "./usr/share/", "./usr/share/doc/", folder };

	if (put_folders(maker, folders, COUNT_OF(folders), err) < 0)
		return -1;
	return put_file(maker, file, 0644, text, strlen(text), err);
}

/* Up to the first byte of the cache. */
static int make_data_front(const struct package *package, struct maker *maker, struct err *err)
{
	static const char *const folders[] = { "./", "./usr/", "./usr/lib/",
					       "./usr/lib/larder/", "./" PACKAGE_FOLDER "/" };
	AUTO_FREE char *path = must_printf("./" PACKAGE_FOLDER "/%s.tar", package->file);

	if (maker_begin(maker, package, archive_write_set_format_gnutar, err) < 0 ||
	    put_folders(maker, folders, COUNT_OF(folders), err) < 0 ||
	    put_copyright(maker, package, err) < 0 ||
	    put_header(maker, path, S_IFREG | 0644, package->bytes, err) < 0)
		return -1;
	maker->done = true;
	return 0;
}

size_t package_deb_rest(const struct package *package)
{
	return (size_t)tar_padding(package->bytes) + TAR_END_BYTES;
}

static int make_front(const struct package *package, struct maker *deb, struct maker *control,
		      struct maker *data, struct err *err)
{
	const uint64_t rest = package->bytes + package_deb_rest(package);

	if (make_control(package, control, err) < 0 ||
	    make_data_front(package, data, err) < 0 ||
	    maker_begin(deb, package, archive_write_set_format_ar_bsd, err) < 0 ||
	    put_file(deb, "debian-binary", 0644, "2.0\n", 4, err) < 0 ||
	    put_file(deb, "control.tar", 0644, control->data, control->size, err) < 0 ||
	    put_header(deb, "data.tar", S_IFREG | 0644, data->size + rest, err) < 0)
		return -1;
	collect(NULL, deb, data->data, data->size);
	deb->done = true;
	return 0;
}

int package_deb_front(const struct package *package, char **out_data, size_t *out_size,
		      struct err *err)
{
	AUTO_MAKER struct maker deb = { 0 }, control = { 0 }, data = { 0 };

	if (package->bytes > DEB_MAX_BYTES)
		return err_set(
			err, ERR_USAGE,
			"the cache has %llu bytes, and a deb holds less than 8 GiB: make "
			"a slice (--os, --kernel, --nic)",
			(unsigned long long)package->bytes);
	if (make_front(package, &deb, &control, &data, err) < 0)
		return -1;
	*out_size = deb.size;
	*out_data = take_ptr(&deb.data);
	return 0;
}
