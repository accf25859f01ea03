/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest HVM guest: a disk image of eight sectors.
 *
 * It says that it is ready, on the screen and on the first serial port, and
 * then sleeps in HLT with interrupts on. What it reads from the serial port
 * it sends back, and a "!" with one more letter is a command:
 *
 *   !p   power off by ACPI (the device model sees the register write)
 *   !h   halt for good: HLT with interrupts off (Xen ends the domain)
 *   !b   64 byte writes into the VGA window (buffered requests)
 *   !s   64 reads of the IDE status register (synchronous requests)
 *
 * After !b and !s it prints "done". An ACPI power button press, which
 * "xl trigger DOMAIN power" makes, powers it off as well.
 */

    .set COM,           0x3f8
    .set PM1_STATUS,    0xb000      /* Xen's place for the PM1a block */
    .set PM1_ENABLE,    0xb002
    .set PM1_CONTROL,   0xb004
    .set POWER_BUTTON,  0x100
    .set SLEEP_S5,      0x2001      /* SLP_TYP 0, SLP_EN, SCI_EN */
    .set VEC_COM,       0x0c        /* IRQ 4 as the BIOS leaves the PICs */
    .set VEC_SCI,       0x71        /* IRQ 9 */
    .set SECTORS,       8

    .code16
    .section .text
    .globl _start
_start:
    ljmp    $0, $1f
1:  xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movw    $0x7c00, %sp
    cld
    movw    $(0x0200 + SECTORS - 1), %ax    /* read, the other sectors */
    movw    $after_sector, %bx
    movw    $0x0002, %cx                    /* cylinder 0, sector 2 */
    xorb    %dh, %dh
    int     $0x13
    jnc     main
    movw    $msg_disk, %si
    call    screen_text
1:  cli
    hlt
    jmp     1b

screen_text:                                /* the text at %si */
    lodsb
    testb   %al, %al
    jz      1f
    movb    $0x0e, %ah
    movw    $7, %bx
    int     $0x10
    jmp     screen_text
1:  ret

msg_disk:
    .asciz  "cannot read the disk\r\n"

    .org    510
    .word   0xaa55
after_sector:

main:
    movw    $msg_ready, %si
    call    screen_text
    call    serial_start
    call    power_button_start
    movw    $msg_ready, %si
    call    serial_text
idle:
    sti
    hlt
    jmp     idle

/* The serial port: 115200 baud, an interrupt for each byte that arrives. */
serial_start:
    cli
    movw    $COM + 7, %dx                   /* is there one at all? */
    movb    $0x5a, %al
    outb    %al, %dx
    inb     %dx, %al
    cmpb    $0x5a, %al
    sete    serial_there
    jne     1f
    movw    $COM + 3, %dx
    movb    $0x80, %al
    outb    %al, %dx
    movw    $COM, %dx
    movw    $0x0001, %ax
    outw    %ax, %dx
    movw    $COM + 3, %dx
    movb    $0x03, %al
    outb    %al, %dx
    movw    $COM + 2, %dx                   /* FIFOs on and empty */
    movb    $0x07, %al
    outb    %al, %dx
    movw    $COM + 4, %dx
    movb    $0x0b, %al
    outb    %al, %dx
    movw    $COM + 1, %dx
    movb    $0x01, %al
    outb    %al, %dx
    movw    $on_serial, VEC_COM * 4
    movw    $0, VEC_COM * 4 + 2
    inb     $0x21, %al
    andb    $~0x10, %al
    outb    %al, $0x21
1:  sti
    ret

power_button_start:
    cli
    movw    $on_sci, VEC_SCI * 4
    movw    $0, VEC_SCI * 4 + 2
    movw    $PM1_ENABLE, %dx
    movw    $POWER_BUTTON, %ax
    outw    %ax, %dx
    inb     $0xa1, %al
    andb    $~0x02, %al
    outb    %al, $0xa1
    inb     $0x21, %al
    andb    $~0x04, %al                     /* the cascade */
    outb    %al, $0x21
    sti
    ret

on_sci:
    pushaw
    movw    $PM1_STATUS, %dx
    inw     %dx, %ax
    testw   $POWER_BUTTON, %ax
    jnz     power_off
    movb    $0x20, %al
    outb    %al, $0xa0
    outb    %al, $0x20
    popaw
    iretw

power_off:
    movw    $msg_off, %si
    call    serial_text
    movw    $PM1_CONTROL, %dx
    movw    $SLEEP_S5, %ax
    outw    %ax, %dx
    jmp     idle

on_serial:
    pushaw
1:  movw    $COM + 5, %dx
    inb     %dx, %al
    testb   $0x01, %al
    jz      2f
    movw    $COM, %dx
    inb     %dx, %al
    call    byte_came
    jmp     1b
2:  movb    $0x20, %al
    outb    %al, $0x20
    popaw
    iretw

byte_came:                                  /* %al: the byte */
    movb    %al, %cl
    call    serial_byte
    cmpb    $'!', last_byte
    movb    %cl, last_byte
    jne     1f
    cmpb    $'p', %cl
    je      power_off
    cmpb    $'h', %cl
    je      halt
    cmpb    $'b', %cl
    je      buffered
    cmpb    $'s', %cl
    je      synchronous
1:  ret

halt:
    cli
    hlt
    jmp     halt

buffered:
    pushw   %es
    movw    $0xb800, %ax
    movw    %ax, %es
    movw    $3840, %di                      /* the last line of the screen */
    movw    $64, %cx
    movb    $'.', %al
1:  stosb
    incw    %di
    loop    1b
    popw    %es
    jmp     done

synchronous:
    movw    $0x1f7, %dx
    movw    $64, %cx
1:  inb     %dx, %al
    loop    1b
done:
    movw    $msg_done, %si
    jmp     serial_text

serial_text:                                /* the text at %si */
    lodsb
    testb   %al, %al
    jz      1f
    call    serial_byte
    jmp     serial_text
1:  ret

serial_byte:                                /* %al: the byte */
    cmpb    $0, serial_there
    je      2f
    movb    %al, %ah
    movw    $COM + 5, %dx
1:  inb     %dx, %al
    testb   $0x20, %al
    jz      1b
    movw    $COM, %dx
    movb    %ah, %al
    outb    %al, %dx
2:  ret

serial_there:
    .byte   0
last_byte:
    .byte   0
msg_ready:
    .asciz  "boot-sector guest ready\r\n"
msg_off:
    .asciz  "\r\npower off\r\n"
msg_done:
    .asciz  "\r\ndone\r\n"

    .org    SECTORS * 512
