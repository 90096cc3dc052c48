package org.tfyolo.demo.camera

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.provider.Settings as SystemSettings
import org.tfyolo.demo.Settings

/** State of the camera permission, and requests for it. */
class CameraPermission(private val activity: Activity, private val settings: Settings) {
    enum class State { GRANTED, NOT_ASKED, DENIED, PERMANENTLY_DENIED }

    val state: State
        get() = when {
            activity.checkSelfPermission(NAME) == PackageManager.PERMISSION_GRANTED -> State.GRANTED
            !settings.askedForCamera -> State.NOT_ASKED
            activity.shouldShowRequestPermissionRationale(NAME) -> State.DENIED
            else -> State.PERMANENTLY_DENIED
        }

    fun ask() {
        activity.requestPermissions(arrayOf(NAME), REQUEST)
    }

    /** Call when the user has answered, but not if the dialog was interrupted: `PERMANENTLY_DENIED` depends on it. */
    fun onAnswered() {
        settings.askedForCamera = true
    }

    /** Open the app's system settings, the only place where a permanently denied permission can be granted. */
    fun openSettings() {
        activity.startActivity(Intent(SystemSettings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", activity.packageName, null)))
    }

    companion object {
        const val REQUEST = 1
        private const val NAME = Manifest.permission.CAMERA
    }
}
