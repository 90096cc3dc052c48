package org.tfyolo.detector

import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.nio.ByteBuffer
import java.util.zip.ZipException
import java.util.zip.ZipInputStream

/** No description is as long. */
private const val MOST_BYTES = 8 shl 20

/**
 * The files of a zip archive that follows a model, by name: labels and the contract. Empty where none follows.
 *
 * @throws ZipException the archive is damaged, or unpacks to more than any description is long.
 */
internal fun readZipTail(model: ByteBuffer): Map<String, ByteArray> {
    val archive = locate(model) ?: return emptyMap()
    val files = HashMap<String, ByteArray>()
    var left = MOST_BYTES
    ZipInputStream(BufferStream(archive)).use { zip ->
        while (true) {
            val entry = zip.nextEntry ?: break
            files[entry.name] = zip.readAtMost(left).also { left -= it.size }
        }
    }
    return files
}

/** From the archive's first file to its directory. The end record has 22 bytes, and a comment of up to 65,535 may follow. */
private fun locate(model: ByteBuffer): ByteBuffer? {
    val little = slice(model, 0, model.limit())
    for (end in little.limit() - 22 downTo maxOf(little.limit() - 65_557, 0)) {
        if (little.getInt(end) != 0x06054b50) continue
        val directory = end - little.getInt(end + 12)
        if (little.getShort(end + 10).toInt() == 0) return null
        if (directory < 0 || little.getInt(directory) != 0x02014b50) throw ZipException("no directory")
        // Offsets count from where the archive starts for its writer: the file's start, or the archive's own.
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
        if (out.size() + count > limit) throw ZipException("more than $MOST_BYTES bytes")
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
