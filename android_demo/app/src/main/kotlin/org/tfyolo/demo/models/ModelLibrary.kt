package org.tfyolo.demo.models

import android.content.Context
import java.io.File
import java.io.IOException
import org.tfyolo.demo.R
import org.tfyolo.detector.ImageModel
import org.tfyolo.detector.Options

/** A model that the user can select. */
sealed class Model {
    /** Persistent ID. */
    abstract val id: String

    abstract fun load(context: Context, options: Options): ImageModel

    abstract fun title(context: Context): String

    /** A model in the app's assets. */
    data class Bundled(val name: String) : Model() {
        override val id: String get() = "asset:$name"

        override fun load(context: Context, options: Options): ImageModel = ImageModel.fromAsset(context, "${ModelLibrary.ASSETS}/$name", options)

        override fun title(context: Context): String = TITLES[name]?.let(context::getString) ?: name.removeSuffix(ModelLibrary.SUFFIX)
    }

    /** A model file that the user imported. */
    data class Imported(val file: File) : Model() {
        override val id: String get() = "file:${file.name}"

        override fun load(context: Context, options: Options): ImageModel = ImageModel.fromFile(context, file, options)

        override fun title(context: Context): String = file.name.removeSuffix(ModelLibrary.SUFFIX)
    }

    private companion object {
        val TITLES = mapOf(
            "model.tflite" to R.string.model_custom,
            "int8.tflite" to R.string.model_int8,
            "float16.tflite" to R.string.model_float16,
        )
    }
}

/** The models that the user can select: those in the assets, and imported files. */
class ModelLibrary(private val context: Context) {
    val folder: File get() = File(context.filesDir, "models")

    fun all(): List<Model> = bundled() + imported()

    fun find(id: String?): Model? = all().run { firstOrNull { it.id == id } ?: firstOrNull() }

    fun remove(model: Model.Imported) {
        model.file.delete()
    }

    private fun bundled(): List<Model> {
        val names = try {
            context.assets.list(ASSETS).orEmpty().filter { it.endsWith(SUFFIX) }
        } catch (_: IOException) {
            emptyList()
        }
        return names.sortedWith(compareBy({ ORDER.indexOf(it).takeIf { at -> at >= 0 } ?: ORDER.size }, { it })).map { Model.Bundled(it) }
    }

    private fun imported(): List<Model> =
        folder.listFiles { file -> file.name.endsWith(SUFFIX) }.orEmpty().sortedBy { it.name }.map { Model.Imported(it) }

    companion object {
        const val ASSETS = "models"
        const val SUFFIX = ".tflite"

        /** Order of the bundled models; `model.tflite` is the one that the app was built with (`make android MODEL=...`). */
        private val ORDER = listOf("model.tflite", "int8.tflite", "float16.tflite")
    }
}
