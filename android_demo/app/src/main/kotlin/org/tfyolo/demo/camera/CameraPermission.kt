package org.tfyolo.demo.camera

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.provider.Settings as SystemSettings
import org.tfyolo.demo.Settings

/** Whether the camera may be used, and how to ask for it. */
class CameraPermission(private val activity: Activity, private val settings: Settings) {
    enum class State { GRANTED, NOT_ASKED, DENIED, DENIED_FOR_GOOD }

    val state: State
        get() = when {
            activity.checkSelfPermission(NAME) == PackageManager.PERMISSION_GRANTED -> State.GRANTED
            !settings.askedForCamera -> State.NOT_ASKED
            activity.shouldShowRequestPermissionRationale(NAME) -> State.DENIED
            else -> State.DENIED_FOR_GOOD
        }

    fun ask() {
        activity.requestPermissions(arrayOf(NAME), REQUEST)
    }

    /** To be called with an answer, not where the question was interrupted: only then may the system refuse to ask again. */
    fun answered() {
        settings.askedForCamera = true
    }

    /** Where alone it can be granted after it was denied for good. */
    fun openSettings() {
        activity.startActivity(Intent(SystemSettings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", activity.packageName, null)))
    }

    companion object {
        const val REQUEST = 1
        private const val NAME = Manifest.permission.CAMERA
    }
}
