/* name.h - which names from outside may become file names, ids and globs. */
#ifndef LARDER_NAME_H
#define LARDER_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_BYTES 128
#define NAME_PATH_MAX_BYTES 512
#define NAME_PATH_MAX_DEPTH 16
#define NAME_GLOB_MAX_BYTES 128
#define NAME_GLOB_MAX_STARS 8
#define NAME_MODULE_MAX_BYTES 55 /* MODULE_NAME_LEN of linux/moduleparam.h, without the NUL */
#define NAME_TEXT_MAX_BYTES 2048 /* URLs and texts for people */

/* [A-Za-z0-9._+~-]{1,128}, not "." or "..", no leading "-", no trailing ".", no name that Windows
 * reserves (CON, NUL, COM1, ...). */
bool name_is_safe(const char *name);

/* Safe names joined by single slashes; not absolute. */
bool name_path_is_safe(const char *path);

/* As a path, but absolute: "/etc/modprobe.d". */
bool name_folder_is_safe(const char *path);

/* A kernel module or driver: letters, digits, '_' and '-', at most 55 bytes. */
bool name_is_module(const char *name);

/* A kernel release or OS id:version may also hold ':' and '_'; still no slash. */
bool name_is_release(const char *name);

/* A device glob: at most 128 bytes and 8 stars, no other wildcard; it begins with a literal bus and
 * vendor ("pci:v000015B3", "vmbus:" and 32 hex digits, "PCI\VEN_15B3", "usb:v1234",
 * "virtio:d00000001"), so that no bundle claims every device. */
bool name_is_device_glob(const char *glob);

/* A glob over kernels or VM sizes: at most 128 bytes and 8 stars. */
bool name_is_glob(const char *glob);

/* Does text match a glob in which only '*' is special? Linear in text and stars. */
bool name_glob_match(const char *glob, const char *text);

/* A URL that is printed and passed on: "://" in it, ASCII without white space and controls. What it may lead to
 * is for whoever asks it. */
bool name_is_plain_url(const char *url);

/* YYYY-MM-DDTHH:MM:SSZ, in digits; not each of them is a date. */
#define NAME_TIME_LENGTH 20
bool name_is_time(const char *text);

/* Order of versions as dpkg compares upstream versions: digits as numbers, '~' before the end. */
int name_version_compare(const char *left, const char *right);

#endif
