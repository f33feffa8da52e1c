#include "tests/unit/support.h"

#include "cache/name.h"
#include "cache/record.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DIGEST "'sha256:" HEX "'"
#define FILE_A                                                                                 \
	"{'path':'DEBS/a.deb','mode':420,'size':1234,'encoding':'identity',"                   \
	"'blob':{'digest':" DIGEST ",'size':1234}}"
#define FILE_B                                                                                 \
	"{'path':'b.ko','mode':493,'size':5000000,'encoding':'zstd',"                          \
	"'blob':{'digest':" DIGEST ",'size':1048577,'chunks':['" HEX "','" HEX "']}}"
#define FILE_C                                                                                 \
	"{'path':'opt/tool','mode':493,'size':5000000,'encoding':'tar+zstd','entries':7,"      \
	"'blob':{'digest':" DIGEST ",'size':77}}"
#define FILE_D                                                                                 \
	"{'path':'p.ko','mode':420,'size':4194305,'encoding':'zstd-patch',"                    \
	"'blob':{'digest':" DIGEST ",'size':99},'base':{'encoding':'zstd','size':5000,"        \
	"'blob':{'digest':" DIGEST ",'size':1048577,'chunks':['" HEX "','" HEX                 \
	"']}},'from':[0,4999]}"
#define FILE_E                                                                                 \
	"{'path':'t','mode':493,'size':1,'encoding':'tar+zstd-patch','entries':1,"             \
	"'blob':{'digest':" DIGEST ",'size':9},'base':{'encoding':'identity','size':9,"        \
	"'blob':{'digest':" DIGEST ",'size':9}},'from':[8]}"
#define STEPS                                                                                  \
	"[{'do':'packages','files':['DEBS/a.deb']},"                                           \
	"{'do':'files','files':['b.ko','opt/tool'],'into':'/etc/modprobe.d'},"                 \
	"{'do':'modules','files':['b.ko']},{'do':'load','modules':['mlx5_core','mlx5_ib']}"    \
	"," STEPS_MORE "]"
#define COMMAND                                                                                \
	"{'do':'command','argv':['%{stage}/b.ko','--log=%{log}','--log=%{log}'],"              \
	"'env':{'KVER':'%{kernel}','QUIET':'1'},'timeout_s':1800,'ok':[0,3],'reboot':[10],"    \
	"'undo':['/usr/sbin/ofed_uninstall.sh','--force'],'removes':['rdma-core']}"
#define STEPS_MORE                                                                             \
	"{'do':'packages','files':['DEBS/a.deb'],'hold':true},"                                \
	"{'do':'dkms','module':'mlnx-ofed-kernel'},"                                           \
	"{'do':'dkms','module':'nic','version':'1.0','files':['opt/tool']}," COMMAND           \
	",{'do':'command','argv':['%{stage}/opt/tool/install'],'ok':[1],'reboot':[0]},"        \
	"{'do':'service','units':['openibd.service'],'start':true},"                           \
	"{'do':'sysctl','settings':{'net.core.rmem_max':'67108864','-vm.a':'1 2'}},"           \
	"{'do':'limits','settings':{'memlock':'unlimited','nofile':'65536'}},"                 \
	"{'do':'ipoib'},{'do':'rdma_names'},"                                                  \
	"{'do':'waagent','settings':{'OS.EnableRDMA':'y'}}"
#define EXPECT                                                                                 \
	"{'driver':'mlx5_core','link_layer':'InfiniBand','port':'physical','carrier':true}"
#define ORIGINS "[{'from':'https://x/y','sha256':'" HEX "','size':9999}]"
#define GOOD                                                                                   \
	"{'files':[" FILE_A "," FILE_B "," FILE_C "," FILE_D "," FILE_E "],'install':" STEPS   \
	",'expect':" EXPECT ",'origins':" ORIGINS ",'licence':'GPL-2.0-only'}"

/* by stands for the first "what" of GOOD. */
static const struct row {
	const char *what, *by, *error; /* NULL: accepted */
} rows[] = {
	{ "", "", NULL },

	/* files: each field missing, of another type, beyond its limit */
	{ "'path':'DEBS/a.deb',", "", "files[0].path: missing" },
	{ "'path':'DEBS/a.deb'", "'path':7", "files[0].path: expected a string" },
	{ "'path':'DEBS/a.deb'", "'path':''", "files[0].path: expected a string of 1 to 512" },
	{ "'path':'DEBS/a.deb'", "'path':'../a.deb'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'/a.deb'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'a//b'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'NUL'", "files[0].path: unsafe path" },
	{ "'path':'DEBS/a.deb'", "'path':'-a'", "files[0].path: unsafe path" },
	{ "'mode':420,", "", "files[0].mode: missing" },
	{ "'mode':420", "'mode':'420'", "files[0].mode: expected an integer" },
	{ "'mode':420", "'mode':511", "files[0].mode: expected 420 (0644) or 493 (0755)" },
	{ "'mode':420", "'mode':2541", "files[0].mode: expected an integer from 0 to 511" },
	{ "'mode':420", "'mode':0", "files[0].mode: expected 420" },
	{ "'size':1234,", "", "files[0].size: missing" },
	{ "'size':1234", "'size':1235", "files[0].blob.size: differs" },
	{ "'size':1234", "'size':-1", "files[0].size: expected an integer" },
	{ "'size':5000000", "'size':17179869184", NULL },
	{ "'size':5000000", "'size':17179869185", "files[1].size: expected an integer" },
	{ "'encoding':'identity',", "", "files[0].encoding: missing" },
	{ "'encoding':'identity'", "'encoding':'gzip'",
	  "files[0].encoding: \"gzip\" is not known" },
	{ "'encoding':'identity'", "'encoding':'Identity'", "is not known to this version" },
	{ "'encoding':'identity'", "'encoding':['identity']",
	  "files[0].encoding: expected a string" },
	{ ",'blob':{'digest':" DIGEST ",'size':1234}", "", "files[0].blob: missing" },
	{ "{'digest':" DIGEST ",'size':1234}", "[]", "files[0].blob: expected an object" },
	{ "'digest':" DIGEST ",", "", "files[0].blob.digest: missing" },
	{ DIGEST, "'" HEX "'", "files[0].blob: expected a digest" },
	{ DIGEST, "'sha256:BA7816'", "files[0].blob: expected a sha256" },
	{ DIGEST, "'sha512:" HEX "'", "files[0].blob: expected a digest" },
	{ ",'size':1234}", "}", "files[0].blob.size: missing" },
	{ ",'size':1234}", ",'size':17179869185}", "files[0].blob.size: expected an integer" },
	{ ",'size':1234}", ",'size':1234,'urls':[]}", "files[0].blob.urls: unknown field" },
	{ "'mode':420", "'uid':0,'mode':420", "files[0].uid: unknown field" },
	{ "b.ko", "DEBS/a.deb", "files[1]: not in order, or twice" },
	{ "b.ko", "DEBS/a.de", "files[1]: not in order, or twice" },
	{ FILE_A, "7", "files[0]: expected an object" },
	{ "'files':[" FILE_A "," FILE_B "," FILE_C "," FILE_D "," FILE_E "],", "",
	  "files: missing" },
	{ "[" FILE_A "," FILE_B "," FILE_C "," FILE_D "," FILE_E "]", "{}",
	  "files: expected an array" },

	/* patches */
	{ "'from':[0,4999]", "'from':[4999,4999]", NULL },
	{ "'from':[0,4999]", "'from':[0,5000]",
	  "files[3].from[1]: expected a place in the base" },
	{ "'from':[0,4999]", "'from':[1,0]",
	  "files[3].from[1]: expected a place in the base, none" },
	{ "'from':[0,4999]", "'from':[-1,0]", "files[3].from[0]: expected a place" },
	{ "'from':[0,4999]", "'from':[0,'1']", "files[3].from[1]: expected a place" },
	{ "'from':[0,4999]", "'from':[0]", "files[3].from: 1 for 4194305 bytes" },
	{ "'from':[0,4999]", "'from':[0,0,0]", "files[3].from: 3 for 4194305 bytes" },
	{ "'from':[0,4999]", "'from':0", "files[3].from: expected an array" },
	{ ",'from':[0,4999]", "", "files[3].from: missing" },
	{ "'size':4194305", "'size':4194304", "files[3].from: 2 for 4194304 bytes" },
	{ "'size':4194305,'encoding':'zstd-patch'", "'size':0,'encoding':'zstd-patch'",
	  "files[3].from: 2 for 0 bytes" },
	{ "'encoding':'zstd-patch'", "'encoding':'zstd'", "files[3].base: unknown field" },
	{ "'encoding':'tar+zstd-patch'", "'encoding':'zstd-patch'",
	  "files[4].entries: unknown field" },
	{ "'encoding':'zstd-patch'", "'encoding':'tar+zstd-patch'",
	  "files[3].entries: missing" },
	{ "'base':{'encoding':'zstd'", "'base':{'encoding':'zstd-patch'",
	  "files[3].base.encoding: \"zstd-patch\" is not known" },
	{ "'base':{'encoding':'zstd'", "'base':{'encoding':'tar+zstd'",
	  "files[3].base.encoding: \"tar+zstd\" is not known" },
	{ "'base':{'encoding':'zstd'", "'base':{'path':'x','encoding':'zstd'",
	  "files[3].base.path: unknown field" },
	{ "'base':{'encoding':'zstd'", "'base':{'encoding':'identity'",
	  "files[3].base.blob.size: differs" },
	{ "'encoding':'identity','size':9", "'encoding':'identity','size':8",
	  "files[4].base.blob.size: differs" },
	{ "'encoding':'zstd','size':5000,'blob':{'digest':" DIGEST ",'size':1048577",
	  "'encoding':'zstd','size':5000,'blob':{'digest':" DIGEST ",'size':1048576",
	  "files[3].base.blob.chunks: 2 for" },
	{ "'path':'t','mode':493", "'path':'t','mode':420", "files[4].mode: expected 493" },

	/* trees */
	{ ",'entries':7", "", "files[2].entries: missing" },
	{ "'entries':7", "'entries':0", "files[2].entries: expected at least 1" },
	{ "'entries':7", "'entries':65536", NULL },
	{ "'entries':7", "'entries':65537", "files[2].entries: expected an integer" },
	{ "'entries':7", "'entries':-1", "files[2].entries: expected an integer" },
	{ "'entries':7", "'entries':'7'", "files[2].entries: expected an integer" },
	{ "'encoding':'tar+zstd'", "'encoding':'zstd'", "files[2].entries: unknown field" },
	{ "'encoding':'tar+zstd'", "'encoding':'tar'", "files[2].encoding: \"tar\" is not" },
	{ "'encoding':'identity'", "'encoding':'identity','entries':7",
	  "files[0].entries: unknown field" },
	{ "'opt/tool','mode':493", "'opt/tool','mode':420", "files[2].mode: expected 493" },
	{ FILE_C,
	  FILE_C ",{'path':'opt/tool/x','mode':420,'size':1,'encoding':'identity',"
		 "'blob':{'digest':" DIGEST ",'size':1}}",
	  "files[3]: \"opt/tool\" is a file already" },
	{ "{'do':'modules','files':['b.ko']}", "{'do':'modules','files':['opt/tool']}",
	  "install[2].files: \"opt/tool\" is a tree: only steps 'files' and 'dkms' take one" },
	{ "{'do':'packages','files':['DEBS/a.deb']}",
	  "{'do':'packages','files':['DEBS/a.deb','opt/tool']}",
	  "install[0].files: \"opt/tool\" is a tree: only steps 'files' and 'dkms' take one" },
	{ "['b.ko','opt/tool']", "['b.ko','opt/tool/x']",
	  "\"opt/tool/x\" is no file of this bundle" },

	/* chunks: exactly when the blob is larger than one */
	{ "'" HEX "','" HEX "'", "'" HEX "'", "files[1].blob.chunks: 1 for a blob of 1048577" },
	{ "'" HEX "','" HEX "'", "'" HEX "','" HEX "','" HEX "'", "files[1].blob.chunks: 3" },
	{ "'" HEX "','" HEX "'", "", "files[1].blob.chunks: 0" },
	{ ",'chunks':['" HEX "','" HEX "']", "", "files[1].blob.chunks: 0" },
	{ "'" HEX "','" HEX "'", "'" HEX "',7", "files[1].blob.chunks[1]: expected a string" },
	{ "'" HEX "','" HEX "'", "'" HEX "','ba'",
	  "files[1].blob.chunks[1]: expected a sha256" },
	{ "['" HEX "','" HEX "']", "{}", "files[1].blob.chunks: expected an array" },
	{ "'size':1048577", "'size':1048576", "files[1].blob.chunks: 2 for a blob of 1048576" },
	{ "'size':1048577", "'size':2097152", NULL },
	{ "'size':1048577", "'size':2097153", "files[1].blob.chunks: 2 for" },
	{ ",'size':1234}", ",'size':1234,'chunks':['" HEX "']}",
	  "files[0].blob.chunks: 1 for" },
	{ ",'size':1234}", ",'size':1234,'chunks':[]}", "files[0].blob.chunks: 0 for" },

	/* steps */
	{ STEPS, "[]", "install: expected at least one step" },
	{ STEPS, "{}", "install: expected an array" },
	{ "'install':" STEPS ",", "", "install: missing" },
	{ "'do':'packages',", "", "install[0].do: missing" },
	{ "'packages'", "'exe'", "install[0].do: \"exe\" is not known to this version" },
	{ "'packages'", "'Packages'", "install[0].do: \"Packages\" is not known" },
	{ "'packages'", "''", "install[0].do: expected a string" },
	{ "'packages'", "7", "install[0].do: expected a string" },
	{ "'files':['DEBS/a.deb']", "'modules':['x']", "install[0].files: missing" },
	{ "'files':['DEBS/a.deb']", "'files':'DEBS/a.deb'",
	  "install[0].files: expected an array" },
	{ "'files':['DEBS/a.deb']", "'files':['a.deb']",
	  "\"a.deb\" is no file of this bundle" },
	{ "'files':['DEBS/a.deb']", "'files':['../a.deb']", "expected a safe path" },
	{ "'files':['DEBS/a.deb']", "'files':['DEBS/*']", "expected a safe path" },
	{ "'files':['DEBS/a.deb']", "'files':[7]", "install[0].files[0]: expected a string" },
	{ "'files':['DEBS/a.deb']", "'files':['b.ko','b.ko']", "\"b.ko\" stands twice" },
	{ "'files':['DEBS/a.deb']", "'files':['b.ko'],'into':'/x'",
	  "install[0].into: unknown field" },
	{ ",'into':'/etc/modprobe.d'", "", "install[1].into: missing" },
	{ "/etc/modprobe.d", "etc", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/etc/", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "/etc/../x", "install[1].into: expected an absolute folder" },
	{ "/etc/modprobe.d", "//etc", "install[1].into: expected an absolute folder" },
	{ "'mlx5_core','mlx5_ib'", "'mlx5_core','-r'", "element 1: expected a module name" },
	{ "'mlx5_core','mlx5_ib'", "'../x'", "element 0: expected a module name" },
	{ "'mlx5_core','mlx5_ib'", "'a','a'", "\"a\" stands twice" },
	{ ",'modules':['mlx5_core','mlx5_ib']", "", "install[3].modules: missing" },
	{ "{'do':'load'", "{'files':['b.ko'],'do':'load'", "install[3].files: unknown field" },

	/* packages that are held, dkms */
	{ "'hold':true", "'hold':1", "install[4].hold: expected true or false" },
	{ "'hold':true", "'hold':false", NULL },
	{ "'do':'modules'", "'do':'modules','hold':true", "install[2].hold: unknown field" },
	{ "'module':'mlnx-ofed-kernel'", "'module':'../x'",
	  "install[5].module: expected a safe name" },
	{ "'module':'mlnx-ofed-kernel'", "'module':'-r'",
	  "install[5].module: expected a safe name" },
	{ ",'module':'mlnx-ofed-kernel'", "", "install[5].module: missing" },
	{ "'version':'1.0',", "", "install[6].version: missing: both, or neither" },
	{ "'version':'1.0','files':['opt/tool']", "'version':'1.0'",
	  "install[6].files: missing: both, or neither" },
	{ "'version':'1.0'", "'version':'1/0'", "install[6].version: expected a safe name" },
	{ "'files':['opt/tool']", "'files':['b.ko']", "install[6].files: \"b.ko\" is no tree" },
	{ "'files':['opt/tool']", "'files':['opt/tool','b.ko']",
	  "install[6].files: more than 1 elements" },
	{ "'files':['opt/tool']", "'files':[]", "install[6].files: expected at least one" },

	/* command */
	{ "'%{stage}/b.ko',", "'%{stage}/opt/tool',", "is no executable file of this bundle" },
	{ "'%{stage}/b.ko',", "'%{stage}/opt/tool/x',", NULL },
	{ "'%{stage}/b.ko',", "'%{stage}/DEBS/a.deb',",
	  "install[7].argv: \"DEBS/a.deb\" is no executable file" },
	{ "'%{stage}/b.ko',", "'%{stage}/b.ko/x',", "\"b.ko/x\" is no executable file" },
	{ "'%{stage}/b.ko',", "'%{stage}/absent',", "\"absent\" is no executable file" },
	{ "'%{stage}/b.ko',", "'%{stage}/../b.ko',",
	  "install[7].argv: unsafe path after %{stage}/" },
	{ "'%{stage}/b.ko',", "'%{stage}/',", "unsafe path after %{stage}/" },
	{ "'%{stage}/b.ko',", "'%{stage}',", "expected to begin with %{stage}/PATH" },
	{ "'%{stage}/b.ko',", "'%{log}',", "expected to begin with %{stage}/PATH" },
	{ "'%{stage}/b.ko',", "'sh',", "expected to begin with %{stage}/PATH or an absolute" },
	{ "'%{stage}/b.ko',", "'/usr/bin/../x',", "expected to begin with %{stage}/PATH" },
	{ "'%{stage}/b.ko',", "'/usr/bin/x y',", "expected to begin with %{stage}/PATH" },
	{ "'%{stage}/b.ko',", "'/usr/bin/x',", NULL },
	{ "['%{stage}/b.ko','--log=%{log}','--log=%{log}']", "[]",
	  "install[7].argv: expected at least one" },
	{ "['%{stage}/b.ko','--log=%{log}','--log=%{log}']", "'%{stage}/b.ko --log'",
	  "install[7].argv: expected an array" },
	{ "'--log=%{log}'", "''", "install[7].argv[1]: expected a string of 1 to 2048" },
	{ "'--log=%{log}'", "'%{home}'", "install[7].argv: element 1: expected printable" },
	{ "'--log=%{log}'", "'%{'", "install[7].argv: element 1: expected printable" },
	{ "'--log=%{log}'", "'%{%{log}}'", "install[7].argv: element 1: expected printable" },
	{ "'--log=%{log}'", "'%%s%n{log}'", NULL },
	{ "'--log=%{log}'", "'a\\nb'", "install[7].argv: element 1: expected printable" },
	{ "'--log=%{log}'", "'a\\u0000b'", "record: line 1" },
	{ "'--log=%{log}'", "'\xc3\xa9'", "install[7].argv: element 1: expected printable" },
	{ "'--log=%{log}'", "'\xc3'", "record: line" },
	{ "'--log=%{log}'", "7", "install[7].argv[1]: expected a string" },
	{ "{'KVER':'%{kernel}','QUIET':'1'}", "{}", "install[7].env: expected at least one" },
	{ "{'KVER':'%{kernel}','QUIET':'1'}", "['A=1']", "install[7].env: expected an object" },
	{ "'QUIET':'1'", "'QUIET':1", "install[7].env: \"QUIET\": expected an environment" },
	{ "'QUIET':'1'", "'QUIET':''", "install[7].env: \"QUIET\": expected" },
	{ "'QUIET':'1'", "'QUIET':'%{x}'", "install[7].env: \"QUIET\": expected" },
	{ "'QUIET':'1'", "'QUIET':'a\\tb'", "install[7].env: \"QUIET\": expected" },
	{ "'QUIET'", "''", "install[7].env: \"\": expected" },
	{ "'QUIET'", "'quiet'", "install[7].env: \"quiet\": expected" },
	{ "'QUIET'", "'1A'", "install[7].env: \"1A\": expected" },
	{ "'QUIET'", "'A=B'", "install[7].env: \"A=B\": expected" },
	{ "'QUIET'", "'LD_PRELOAD'", "install[7].env: \"LD_PRELOAD\": expected" },
	{ "'QUIET'", "'PATH'", "install[7].env: \"PATH\": expected" },
	{ "'QUIET'", "'BASH_ENV'", "install[7].env: \"BASH_ENV\": expected" },
	{ "'QUIET'", "'PYTHONPATH'", "install[7].env: \"PYTHONPATH\": expected" },
	{ "'QUIET'", "'PERL5OPT'", "install[7].env: \"PERL5OPT\": expected" },
	{ "'QUIET'", "'IFS'", "install[7].env: \"IFS\": expected" },
	{ "'QUIET'", "'LC_ALL'", "install[7].env: \"LC_ALL\": expected" },
	{ "'QUIET'", "'PATHS'", NULL },
	{ "'timeout_s':1800", "'timeout_s':0",
	  "install[7].timeout_s: expected an integer from 1" },
	{ "'timeout_s':1800", "'timeout_s':86400", NULL },
	{ "'timeout_s':1800", "'timeout_s':86401",
	  "install[7].timeout_s: expected an integer" },
	{ "'ok':[0,3]", "'ok':[]", "install[7].ok: expected at least one" },
	{ "'ok':[0,3]", "'ok':[256]", "install[7].ok: element 0: expected an exit code" },
	{ "'ok':[0,3]", "'ok':[-1]", "install[7].ok: element 0: expected an exit code" },
	{ "'ok':[0,3]", "'ok':['0']", "install[7].ok: element 0: expected an exit code" },
	{ "'ok':[0,3]", "'ok':[0,0]", "install[7].ok: 0 stands twice" },
	{ "'reboot':[10]", "'reboot':[3]", "install[7].reboot: 3 stands twice" },
	{ "'ok':[0,3],'reboot':[10]", "'reboot':[0]", "install[7].reboot: 0 stands twice" },
	{ "'/usr/sbin/ofed_uninstall.sh'", "'ofed_uninstall.sh'",
	  "install[7].undo: expected to begin with" },
	{ "'/usr/sbin/ofed_uninstall.sh'", "'%{stage}/b.ko'",
	  "install[7].undo: element 0: expected printable ASCII without placeholders but "
	  "%{log}" },
	{ "'--force'", "'%{stage}/x'", "install[7].undo: element 1: expected printable" },
	{ "'--force'", "'%{log}%{kernel}'", NULL },
	{ "['/usr/sbin/ofed_uninstall.sh','--force']", "[]",
	  "install[7].undo: expected at least one" },
	{ "['rdma-core']", "['-f']", "install[7].removes: element 0: expected a package name" },
	{ "['rdma-core']", "['a b']",
	  "install[7].removes: element 0: expected a package name" },
	{ "['rdma-core']", "['a','a']", "install[7].removes: \"a\" stands twice" },
	{ "'removes':['rdma-core']", "'shell':true", "install[7].shell: unknown field" },

	/* services and settings */
	{ "'openibd.service'", "'openibd'", "install[9].units: element 0: expected a unit" },
	{ "'openibd.service'", "'.service'", "install[9].units: element 0: expected a unit" },
	{ "'openibd.service'", "'../x.service'",
	  "install[9].units: element 0: expected a unit" },
	{ "'openibd.service'", "'--now.service'",
	  "install[9].units: element 0: expected a unit" },
	{ "'openibd.service'", "'a*.service'", "install[9].units: element 0: expected a unit" },
	{ "'openibd.service'", "'ifup@ib0.service'", NULL },
	{ "['openibd.service']", "[]", "install[9].units: expected at least one" },
	{ "'start':true", "'start':'yes'", "install[9].start: expected true or false" },
	{ "'net.core.rmem_max'", "'rmem_max'", "install[10].settings: \"rmem_max\": expected" },
	{ "'net.core.rmem_max'", "'net..core'",
	  "install[10].settings: \"net..core\": expected" },
	{ "'net.core.rmem_max'", "'net/core/rmem_max'", "install[10].settings: \"net/core" },
	{ "'net.core.rmem_max'", "'net.../etc'", "install[10].settings: \"net.../etc\"" },
	{ "'net.core.rmem_max'", "'net.core.'",
	  "install[10].settings: \"net.core.\": expected" },
	{ "'net.core.rmem_max'", "'--net.core'",
	  "install[10].settings: \"--net.core\": expected" },
	{ "'67108864'", "67108864", "install[10].settings: \"net.core.rmem_max\": expected" },
	{ "'67108864'", "' 1'", "install[10].settings: \"net.core.rmem_max\": expected" },
	{ "'67108864'", "'1\\n2'", "install[10].settings: \"net.core.rmem_max\": expected" },
	{ "'nofile':'65536'", "'nofile':'unlimited'",
	  "install[11].settings: \"nofile\": expected an item of limits.conf" },
	{ "'nofile':'65536'", "'nofile':'-1'", "install[11].settings: \"nofile\": expected" },
	{ "'nofile':'65536'", "'nofile':'010'", "install[11].settings: \"nofile\": expected" },
	{ "'nofile':'65536'", "'nofile':'0'", NULL },
	{ "'nofile':'65536'", "'priority':'1'",
	  "install[11].settings: \"priority\": expected" },
	{ "{'do':'ipoib'}", "{'do':'ipoib','files':['b.ko']}",
	  "install[12].files: unknown field" },
	{ "{'do':'rdma_names'}", "{'do':'rdma_names','settings':{}}",
	  "install[13].settings: unknown field" },
	{ "'OS.EnableRDMA'", "'OS EnableRDMA'", "install[14].settings: \"OS EnableRDMA\"" },
	{ "'OS.EnableRDMA'", "'#OS'", "install[14].settings: \"#OS\": expected" },
	{ "'OS.EnableRDMA':'y'", "'OS.EnableRDMA':'y#'", "install[14].settings: \"OS.Enable" },
	{ "'OS.EnableRDMA':'y'", "'OS.EnableRDMA':'y\\ny=1'",
	  "install[14].settings: \"OS.Enable" },
	{ "{'OS.EnableRDMA':'y'}", "{}", "install[14].settings: expected at least one" },

	/* proof */
	{ EXPECT, "{}", NULL },
	{ EXPECT, "[]", "expect: expected an object" },
	{ "'expect':" EXPECT ",", "", "expect: missing" },
	{ "'driver':'mlx5_core'", "'driver':'a b'", "expect.driver: expected a driver's name" },
	{ "'driver':'mlx5_core'", "'driver':7", "expect.driver: expected a string" },
	{ "'InfiniBand'", "'infiniband'", "expect.link_layer: \"infiniband\" is not known" },
	{ "'InfiniBand'", "'Ethernet'", NULL },
	{ "'InfiniBand'", "null", "expect.link_layer: expected a string" },
	{ "'physical'", "'Logical'", "expect.port: \"Logical\" is not known" },
	{ "'physical'", "'logical'", NULL },
	{ "'carrier':true", "'carrier':1", "expect.carrier: expected true or false" },
	{ "'carrier':true", "'career':true", "expect.career: unknown field; did you mean" },

	/* origins, licence */
	{ ORIGINS, "[]", NULL },
	{ ORIGINS, "{}", "origins: expected an array" },
	{ "'origins':" ORIGINS ",", "", "origins: missing" },
	{ "'from':'https://x/y',", "", "origins[0].from: missing" },
	{ ",'sha256':'" HEX "'", "", "origins[0].sha256: missing" },
	{ "'sha256':'" HEX, "'sha256':'x", "origins[0].sha256: expected a sha256" },
	{ ",'size':9999", "", "origins[0].size: missing" },
	{ ",'size':9999", ",'size':9007199254740992", NULL },
	{ ",'size':9999", ",'size':9999,'date':'x'", "origins[0].date: unknown field" },
	{ ",'licence':'GPL-2.0-only'", "", "licence: missing" },
	{ "'GPL-2.0-only'", "''", "licence: expected a string" },
	{ "'GPL-2.0-only'", "['GPL-2.0-only']", "licence: expected a string" },
	{ "{'files'", "{'scripts':[],'files'", "scripts: unknown field" },
	{ GOOD, "[]", "record: expected an object" },
	{ GOOD, "", "record: line 1" },
	{ GOOD, "{", "record: line 1" },
};

static int parse(const char *text, struct record *out, struct err *err)
{
	return record_parse(text, strlen(text), out, err);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_FREE char *changed = with_replaced(GOOD, rows[i].what, rows[i].by);
		AUTO_FREE char *text = changed ? with_quotes(changed) : NULL;
		AUTO_RECORD struct record record = { 0 };
		struct err err = { 0 };
		int result;

		CHECK(text, "row %zu: %s is not in the record", i, rows[i].what);
		result = parse(text, &record, &err);
		if (rows[i].error)
			check_err(result, &err, ERR_INVALID, rows[i].error, text);
		else
			check_good(result, &err, text);
		CHECK(!rows[i].error || !record.document, "row %zu: out touched", i);
	}
}

static void test_text_and_back(void **state)
{
	AUTO_FREE char *text = with_quotes(GOOD), *again = NULL;
	AUTO_RECORD struct record record = { 0 };
	struct err err = { 0 };
	size_t size;

	(void)state;
	check_good(parse(text, &record, &err), &err, text);
	again = record_text(&record, &size);
	assert_string_equal(text, again);
	assert_int_equal(size, strlen(again));
	assert_int_equal(record.file_count, 5);
	assert_int_equal(record.file[1].chunk_count, 2);
	assert_int_equal(record.file[1].encoding, RECORD_ZSTD);
	assert_int_equal(record.file[1].entries, 0);
	assert_int_equal(record.file[2].encoding, RECORD_TAR_ZSTD);
	assert_int_equal(record.file[2].entries, 7);
	assert_null(record.file[2].base);
	assert_int_equal(record.file[3].base->encoding, RECORD_ZSTD);
	assert_int_equal(record.file[3].base->chunk_count, 2);
	assert_int_equal(record.file[3].from[1], 4999);
	assert_false(record_is_tree(&record.file[3]));
	assert_true(record_is_tree(&record.file[4]));
	assert_false(record.step[1].tree[0]);
	assert_true(record.step[1].tree[1]);
	assert_int_equal(record.step[3].kind, RECORD_DO_LOAD);
	assert_true(record.step[4].hold);
	assert_null(record.step[5].version);
	assert_true(record.step[6].tree[0]);
	assert_int_equal(record.step[7].argv.count, 3);
	assert_int_equal(record.step[7].code[0], RECORD_CODE_OK);
	assert_int_equal(record.step[7].code[10], RECORD_CODE_REBOOT);
	assert_int_equal(record.step[7].code[1], RECORD_CODE_FAILED);
	assert_int_equal(record.step[8].code[0], RECORD_CODE_REBOOT);
	assert_string_equal(record.step[7].env.item[1].key, "QUIET");
	assert_string_equal(record.step[10].settings.item[1].value, "1 2");
	assert_string_equal(record.expect.port, "physical");
}

static void test_find(void **state)
{
	static const struct {
		const char *path;
		int index; /* -1: not there */
	} finds[] = { { "DEBS/a.deb", 0 }, { "b.ko", 1 },   { "", -1 },	 { "a", -1 },
		      { "b.k", -1 },	   { "b.ko2", -1 }, { "z", -1 }, { "DEBS", -1 } };
	AUTO_FREE char *text = with_quotes(GOOD);
	AUTO_RECORD struct record record = { 0 };
	struct record none = { 0 };
	struct err err = { 0 };

	(void)state;
	check_good(parse(text, &record, &err), &err, text);
	for (size_t i = 0; i < COUNT_OF(finds); i++) {
		const struct record_file *file = record_find(&record, finds[i].path);

		CHECK(file == (finds[i].index < 0 ? NULL : &record.file[finds[i].index]), "%s",
		      finds[i].path);
		assert_null(record_find(&none, finds[i].path));
	}
}

static void test_chunk_count(void **state)
{
	static const struct {
		uint64_t size;
		size_t chunks;
	} counts[] = { { 0, 0 },
		       { 1, 0 },
		       { RECORD_CHUNK_BYTES, 0 },
		       { RECORD_CHUNK_BYTES + 1, 2 },
		       { 2 * RECORD_CHUNK_BYTES, 2 },
		       { 2 * RECORD_CHUNK_BYTES + 1, 3 },
		       { UINT64_C(1) << 32, 4096 },
		       { RECORD_FILE_MAX_BYTES, 16384 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		assert_int_equal(record_chunks_of(counts[i].size), counts[i].chunks);
}

/* A record with this many of a thing, or a longer text; at the limit good, above it not. */
static char *many(const char *what, size_t count)
{
	AUTO_FREE char *text = with_quotes(GOOD);
	json_t *root = json_loads(text, 0, NULL), *array = json_object_get(root, what);
	char *result;
	size_t size;

	for (size_t i = json_array_size(array); i < count; i++) {
		AUTO_FREE char *path = must_printf("z%06zu", i);
		json_t *copy = json_deep_copy(json_array_get(array, 0));

		if (strcmp(what, "files") == 0)
			json_object_set_new(copy, "path", json_string(path));
		json_array_append_new(array, copy);
	}
	result = json_text(root, &size);
	json_decref(root);
	return result;
}

static void test_counts(void **state)
{
	static const struct {
		const char *what;
		size_t max;
	} counts[] = { { "install", RECORD_MAX_STEPS },
		       { "origins", RECORD_MAX_ORIGINS },
		       { "files", RECORD_MAX_FILES } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts) * 2; i++) {
		AUTO_FREE char *text = many(counts[i / 2].what, counts[i / 2].max + i % 2);
		AUTO_RECORD struct record record = { 0 };
		struct err err = { 0 };
		int result = parse(text, &record, &err);

		if (i % 2)
			check_err(result, &err, ERR_INVALID, "more than", counts[i / 2].what);
		else
			check_good(result, &err, counts[i / 2].what);
	}
}

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(record_do_name(RECORD_DO_FILES), "files");
	assert_string_equal(record_do_name(RECORD_DO_PACKAGES), "packages");
	for (int kind = 0; kind < RECORD_DO_KINDS; kind++) {
		assert_int_equal(record_do_find(record_do_name((enum record_do)kind)), kind);
		assert_int_equal(record_do_is_early((enum record_do)kind),
				 kind <= RECORD_DO_LOAD);
	}
	assert_int_equal(record_do_find("exe"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),   cmocka_unit_test(test_text_and_back),
		cmocka_unit_test(test_find),   cmocka_unit_test(test_chunk_count),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
