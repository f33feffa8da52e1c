/* A lock: all that is accepted can be asked for, and contradicts nothing but other content. */
#include "tests/fuzz/fuzz.h"

#include "bake/lock.h"
#include "cache/base/json.h"

static void ask_all(struct lock *lock)
{
	const struct digest_size other = { .size = UINT64_MAX };
	struct digest_size content;
	struct lock_package package;
	struct err err = { 0 };
	const json_t *value;
	const char *key;

	json_object_foreach(json_object_get(lock->document, "files"), key, value)
	{
		FUZZ_CHECK(lock_find_file(lock, key, &content, &err) == 0);
		FUZZ_CHECK(lock_put_file(lock, key, &content, &err) == 0);
		FUZZ_CHECK(lock_put_file(lock, key, &other, &err) < 0);
	}
	json_object_foreach(json_object_get(lock->document, "packages"), key, value)
	{
		FUZZ_CHECK(lock_find_package(lock, key, &package, &err) == 0);
		FUZZ_CHECK(lock_put_package(lock, &package, &err) == 0);
	}
	FUZZ_CHECK(!lock->changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *folder;
	int dir = fuzz_folder(&folder);
	AUTO_FREE char *path = must_printf("%s/m.json", folder);
	AUTO_LOCK struct lock lock = { 0 };
	struct err err = { 0 };

	fuzz_put(dir, "m.lock.json", data, size);
	if (lock_load(path, &lock, &err) == 0)
		ask_all(&lock);
	else
		fuzz_check_err(&err);
	return 0;
}
