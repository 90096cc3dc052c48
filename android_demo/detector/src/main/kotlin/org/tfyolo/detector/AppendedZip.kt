package org.tfyolo.detector

import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.nio.ByteBuffer
import java.util.zip.ZipException
import java.util.zip.ZipInputStream

/** Size limit of all files together after decompression, against zip bombs. */
private const val MAX_BYTES = 8 shl 20

/**
 * Read the zip archive appended to a model: the associated files of TFLite metadata, such as labels and tfyolo.json.
 *
 * @return content by file name; empty if there is no archive.
 * @throws ZipException if the archive is damaged, or its files are larger than [MAX_BYTES].
 */
internal fun readAppendedZip(model: ByteBuffer): Map<String, ByteArray> {
    val archive = locate(model) ?: return emptyMap()
    val files = HashMap<String, ByteArray>()
    var remaining = MAX_BYTES
    ZipInputStream(BufferStream(archive)).use { zip ->
        while (true) {
            val entry = zip.nextEntry ?: break
            files[entry.name] = zip.readAtMost(remaining).also { remaining -= it.size }
        }
    }
    return files
}

/**
 * Find the archive: the bytes from its first file to its central directory; null if there is none.
 *
 * The "end of central directory" record has 22 bytes, and a comment of up to 65,535 bytes may follow it.
 */
private fun locate(model: ByteBuffer): ByteBuffer? {
    val little = slice(model, 0, model.limit())
    for (end in little.limit() - 22 downTo maxOf(little.limit() - 65_557, 0)) {
        if (little.getInt(end) != 0x06054b50) continue
        val directory = end - little.getInt(end + 12)
        if (little.getShort(end + 10).toInt() == 0) return null
        if (directory < 0 || little.getInt(directory) != 0x02014b50) throw ZipException("no central directory")
        // Some zip writers count offsets from the start of the file, others from the start of the archive.
        val shift = directory - little.getInt(end + 16)
        val first = little.getInt(directory + 42) + shift
        return slice(little, first, directory - first)
    }
    return null
}

private fun InputStream.readAtMost(limit: Int): ByteArray {
    val out = ByteArrayOutputStream()
    val part = ByteArray(8192)
    while (true) {
        val count = read(part)
        if (count < 0) return out.toByteArray()
        if (out.size() + count > limit) throw ZipException("more than $MAX_BYTES bytes")
        out.write(part, 0, count)
    }
}

private class BufferStream(private val buffer: ByteBuffer) : InputStream() {
    override fun read(): Int = if (buffer.hasRemaining()) buffer.get().toInt() and 255 else -1

    override fun read(to: ByteArray, offset: Int, length: Int): Int {
        if (!buffer.hasRemaining()) return -1
        return minOf(length, buffer.remaining()).also { buffer.get(to, offset, it) }
    }
}
