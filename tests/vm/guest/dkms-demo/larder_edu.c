// SPDX-License-Identifier: GPL-2.0
/* A driver that must be built on the machine: for QEMU's edu device (docs/specs/edu.txt in QEMU's source). */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>

#define EDU_BAR 0
#define EDU_ID 0x00 /* 0xMMmm00ed: major and minor version */
#define EDU_LIVENESS 0x04 /* reads as the complement of what was written */
#define EDU_PATTERN 0x12345678

/* Is it there, and does it answer? */
static int edu_probe(struct pci_dev *device, const struct pci_device_id *id)
{
	void __iomem *registers;
	int error = pcim_enable_device(device);

	if (error)
		return error;
	registers = pcim_iomap(device, EDU_BAR, 0);
	if (!registers)
		return -ENOMEM;
	iowrite32(EDU_PATTERN, registers + EDU_LIVENESS);
	if ((ioread32(registers + EDU_ID) & 0xff) != 0xed ||
	    ioread32(registers + EDU_LIVENESS) != (u32)~EDU_PATTERN)
		return -ENODEV;
	pci_info(device, "version %x answers\n", ioread32(registers + EDU_ID) >> 16);
	return 0;
}

static const struct pci_device_id edu_ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = { .name = "larder_edu", .id_table = edu_ids, .probe = edu_probe };
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("larder's demonstration of a module built by DKMS");
MODULE_LICENSE("GPL");
