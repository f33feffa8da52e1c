/* Source: deb(5), deb-control(5). data.tar is not packed: the blobs in it are. */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <time.h>

#include "bake/package.h"
#include "cache/tar.h"

/* What a ustar header says in octal digits, and so what every dpkg reads. */
#define DEB_MAX_BYTES ((UINT64_C(8) << 30) - 1)

#define MAINTAINER "larder <noreply@larder.invalid>"

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

/* Without a time of its own: the same bytes are packed to the same. */
static int pack(struct archive *archive)
{
	if (archive_write_add_filter_gzip(archive) != ARCHIVE_OK ||
	    archive_write_set_filter_option(archive, "gzip", "compression-level", "9") !=
		    ARCHIVE_OK)
		return ARCHIVE_FATAL;
	return archive_write_set_filter_option(archive, "gzip", "timestamp", NULL);
}

static int packed_tar(struct archive *archive)
{
	int code = archive_write_set_format_gnutar(archive);

	return code == ARCHIVE_OK ? pack(archive) : code;
}

static int packed_text(struct archive *archive)
{
	int code = archive_write_set_format_raw(archive);

	return code == ARCHIVE_OK ? pack(archive) : code;
}

/* set_format: libarchive's, or one of these. */
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

/* All of it is there. */
static int maker_end(struct maker *maker, struct err *err)
{
	if (archive_write_close(maker->archive) == ARCHIVE_OK)
		return 0;
	return err_set(err, ERR_SYSTEM, "deb: %s", archive_error_string(maker->archive));
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
	const char *second = strchr(package_text, '\n') + 1;

	return must_printf("Package: %s\n"
			   "Version: %llu\n"
			   "Architecture: all\n"
			   "Maintainer: " MAINTAINER "\n"
			   "Installed-Size: %llu\n"
			   "Section: admin\n"
			   "Priority: optional\n"
			   "Description: %s\n"
			   " %.*s"
			   " %s\n"
			   " .\n"
			   " Serial %llu; %zu of %zu bundles are carried.\n",
			   package->name, (unsigned long long)package->serial,
			   (unsigned long long)(package->bytes + 1023) / 1024, package_summary,
			   (int)(second - package_text), package_text, second,
			   (unsigned long long)package->serial, package->carried,
			   package->bundles);
}

static int make_control(const struct package *package, struct maker *maker, struct err *err)
{
	AUTO_FREE char *control = control_text(package);
	AUTO_FREE char *script = must_printf(
		"#!/bin/sh\nset -e\n[ \"$1\" = configure ] || exit 0\n%s", package_script);
	static const char *const folders[] = { "./" };

	if (maker_begin(maker, package, packed_tar, err) < 0 ||
	    put_folders(maker, folders, COUNT_OF(folders), err) < 0 ||
	    put_file(maker, "./control", 0644, control, strlen(control), err) < 0 ||
	    put_file(maker, "./postinst", 0755, script, strlen(script), err) < 0)
		return -1;
	return maker_end(maker, err);
}

static int put_changelog(struct maker *maker, const struct package *package, const char *folder,
			 struct err *err)
{
	AUTO_MAKER struct maker packed = { 0 };
	AUTO_FREE char *path = must_printf("%schangelog.gz", folder);
	AUTO_FREE char *text = NULL;
	time_t time = (time_t)package->time;
	char date[64] = "";
	struct tm tm;

	if (gmtime_r(&time, &tm))
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	text = must_printf("%s (%llu) unstable; urgency=medium\n\n  * Serial %llu.\n\n"
			   " -- " MAINTAINER "  %s\n",
			   package->name, (unsigned long long)package->serial,
			   (unsigned long long)package->serial, date);
	if (maker_begin(&packed, package, packed_text, err) < 0 ||
	    put_file(&packed, "changelog", 0644, text, strlen(text), err) < 0 ||
	    maker_end(&packed, err) < 0)
		return -1;
	return put_file(maker, path, 0644, packed.data, packed.size, err);
}

static int put_copyright(struct maker *maker, const struct package *package, struct err *err)
{
	static const char text[] = "Copyright: the vendors of the driver bundles in this "
				   "cache, which larder packed.\n"
				   "Each is under the licence that 'larder show' names.\n";
	AUTO_FREE char *folder = must_printf("./usr/share/doc/%s/", package->name);
	AUTO_FREE char *file = must_printf("%scopyright", folder);
	const char *const folders[] = { "./usr/share/", "./usr/share/doc/", folder };

	if (put_folders(maker, folders, COUNT_OF(folders), err) < 0)
		return -1;
	if (put_file(maker, file, 0644, text, strlen(text), err) < 0)
		return -1;
	return put_changelog(maker, package, folder, err);
}

/* Up to the first byte of the cache. */
static int make_data_front(const struct package *package, struct maker *maker, struct err *err)
{
	static const char place[] = "./" PACKAGE_FOLDER "/";
	static const char *const folders[] = { "./", "./usr/", "./usr/lib/",
					       "./usr/lib/larder/", place };
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
	    put_file(deb, "control.tar.gz", 0644, control->data, control->size, err) < 0 ||
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
