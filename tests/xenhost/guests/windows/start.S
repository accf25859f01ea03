/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Windows-like guest's beginning: a boot sector that has the BIOS load the
 * rest from the disk, the way to protected mode, and the interrupts' entries.
 * Under UEFI it is GRUB that loads the rest, by its Multiboot header.
 */

    .set STACK,     0x90000
    .set FLAT_CODE, 0x08
    .set FLAT_DATA, 0x10
    .set MULTIBOOT, 0x1badb002
    .set BY_ADDRESS, 0x00010000

    .code16
    .section .boot, "ax"
    .globl start
start:
    ljmp    $0, $1f
1:  xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movw    $start, %sp
    movb    $0x42, %ah                      /* read by block number */
    movw    $packet, %si                    /* %dl is the disk */
    int     $0x13
    jnc     2f
    movw    $trouble, %si
3:  lodsb
    testb   %al, %al
    jz      4f
    movb    $0x0e, %ah
    movw    $7, %bx
    int     $0x10
    jmp     3b
4:  cli
    hlt
    jmp     4b

2:  cli
    inb     $0x92, %al                      /* the address line 20 */
    orb     $0x02, %al
    andb    $0xfe, %al
    outb    %al, $0x92
    lgdtl   gdt_pointer
    movl    %cr0, %eax
    orl     $1, %eax
    movl    %eax, %cr0
    ljmp    $FLAT_CODE, $protected

    .balign 4
packet:
    .byte   16, 0
    .word   load_sectors
    .word   load_start, 0
    .quad   1
trouble:
    .asciz  "cannot read the disk\r\n"

    .org    446                             /* partitions: image.py */
    .org    510
    .word   0xaa55

    /* What a test may set on the disk: seconds from ready to off, in digits. */
    .section .header, "a"
    .ascii  "WINDOWSL"
    .globl  header_seconds
header_seconds:
    .ascii  "0       "
    .balign 4
multiboot:
    .long   MULTIBOOT, BY_ADDRESS, -(MULTIBOOT + BY_ADDRESS)
    .long   multiboot, load_start, load_end, 0, by_multiboot
    .org    512

    .text
    .code32
by_multiboot:
    cli
    lgdtl   gdt_pointer
    ljmp    $FLAT_CODE, $protected
protected:
    movw    $FLAT_DATA, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %fs
    movw    %ax, %gs
    movw    %ax, %ss
    movl    $STACK, %esp
    cld
    movl    $bss_start, %edi
    movl    $bss_end, %ecx
    subl    %edi, %ecx
    xorl    %eax, %eax
    rep stosb
    call    guest_main
5:  cli
    hlt
    jmp     5b

    .balign 4
gdt:
    .quad   0
    .quad   0x00cf9a000000ffff
    .quad   0x00cf92000000ffff
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .macro entry number
    .globl  irq_entry_\number
irq_entry_\number:
    pushl   $\number
    jmp     irq_any
    .endm
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    entry   \number
    .endr

irq_any:
    pushal
    cld
    pushl   32(%esp)
    call    irq
    addl    $4, %esp
    popal
    addl    $4, %esp
    iret

    .globl  irq_entries
    .balign 4
irq_entries:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .long   irq_entry_\number
    .endr

    .section .note.GNU-stack, "", @progbits
